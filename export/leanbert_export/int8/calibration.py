"""Look at what each product gets on calibration texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime as ort

from leanbert.cpu import allowed_cores
from leanbert.scheduling import plan_batches
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.int8.matmuls import Product, find_products
from leanbert_export.int8.ranges import Sample

MAX_TOKENS = 16_384
"""Tokens that are looked at: 0.9 GB of half floats for BERT-base. More gave nothing measurable."""

_BATCH = 2048  # padded tokens
_WEIGHTS = "calibration.onnx.data"


def watch(
    model: ir.Model, tokenizer: Tokenizer, texts: Sequence[TextInput], scratch: Path
) -> dict[str, Sample]:
    """The rows that reach each product of the rewritten fp32 graph, by the product's name.

    ``model`` comes back as it was; its weights are written to ``scratch`` once more.
    """
    products = find_products(model.graph)
    before = list(model.graph.outputs)
    taps = {name_of(product.input, product): product.input for product in products}
    for value in taps.values():
        value.dtype = ir.DataType.FLOAT
    model.graph.outputs.extend(v for v in taps.values() if v not in before)
    path = scratch / "calibration.onnx"
    ir.save(model, path, external_data=_WEIGHTS)
    del model.graph.outputs[len(before) :]
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = allowed_cores()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    seen = _collect(session, list(taps), tokenizer, texts)
    del session
    path.unlink()
    (scratch / _WEIGHTS).unlink()
    return {product.name: seen[name_of(product.input, product)] for product in products}


def name_of(value: ir.Value, product: Product) -> str:
    """The value's name, given if it has none."""
    if value.name is None:
        value.name = f"{product.name}/input"
    return value.name


def _collect(
    session: ort.InferenceSession,
    names: list[str],
    tokenizer: Tokenizer,
    texts: Sequence[TextInput],
) -> dict[str, Sample]:
    wanted = {node.name for node in session.get_inputs()}
    encodings = tokenizer.encode(list(texts), truncation=True)
    rows: dict[str, list[npt.NDArray[np.float16]]] = {name: [] for name in names}
    first: dict[str, list[npt.NDArray[np.bool_]]] = {name: [] for name in names}
    tokens = 0
    for batch in _mixed(plan_batches(encodings.lengths, _BATCH)):
        inputs = encodings.collate(batch)
        mask = inputs["attention_mask"].astype(bool)
        starts = np.zeros(mask.shape, bool)
        starts[:, 0] = True
        outputs = session.run(names, {k: v for k, v in inputs.items() if k in wanted})
        for name, found in zip(names, outputs, strict=True):
            every = found.ndim == 3 and found.shape[:2] == mask.shape
            kept = found[mask] if every else found.reshape(-1, found.shape[-1])
            rows[name].append(kept.astype(np.float16))
            first[name].append(starts[mask] if every else np.ones(len(kept), bool))
        tokens += int(mask.sum())
        if tokens >= MAX_TOKENS:
            break
    return {name: Sample(np.concatenate(rows[name]), np.concatenate(first[name])) for name in names}


def _mixed(batches: list[list[int]]) -> list[list[int]]:
    """Long and short batches by turns, so that a cut leaves a mixture."""
    order = np.random.default_rng(0).permutation(len(batches))
    return [batches[i] for i in order]
