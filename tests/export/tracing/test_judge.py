"""Optimum's trace as the second judge: each described family's graph equals it on real text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from leanbert_export.architectures.describing import describe
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.graph.encoder import build_graph
from leanbert_export.samples import sample_texts
from leanbert_export.tracing.optimum import export_fp32
from tests.export.conftest import NEEDS_OPTIMUM, load
from tests.helpers import family_checkpoints

pytestmark = [pytest.mark.slow, NEEDS_OPTIMUM]
# Every family with a head that differs from the others', and every kind of head.
PAIRS = [
    ("bert", "text-classification"),
    ("bert-cased", "question-answering"),
    ("roberta", "fill-mask"),
    ("xlm-roberta", "token-classification"),
    ("distilbert", "text-classification"),
    ("electra", "text-classification"),
    ("albert", "fill-mask"),
    ("mpnet", "text-classification"),
    ("deberta-v2", "text-classification"),
    ("modernbert", "text-classification"),
    ("modernbert", "feature-extraction"),
]


@pytest.mark.parametrize(("family", "task"), PAIRS)
def test_the_graph_equals_optimums_trace(tmp_path: Path, family: str, task: str) -> None:
    loaded = load(family_checkpoints.checkpoint(family, task, tmp_path / "checkpoint"), task)
    final = build_graph(describe(loaded))
    traced = export_fp32(loaded, tmp_path / "traced")
    built = ir.to_proto(final.model).SerializeToString()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    ours, theirs = (
        ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for graph in (built, str(traced))
    )
    names = [value.name for value in theirs.get_inputs()]
    batch = dict(
        loaded.tokenizer(
            list(sample_texts()[::9]), padding=True, truncation=True, return_tensors="np"
        )
    )
    inputs = {name: batch[name].astype(np.int64) for name in names}
    assert {value.name for value in ours.get_inputs()} == set(names)
    mask = inputs["attention_mask"].astype(bool)
    outputs = list(HEADS[task].outputs)
    for found, wanted in zip(ours.run(outputs, inputs), theirs.run(outputs, inputs), strict=True):
        if HEADS[task].per_token:
            found, wanted = found[mask], wanted[mask]
        scale = max(1.0, float(np.abs(wanted).max()))
        assert float(np.abs(found - wanted).max()) <= 1e-5 * scale
