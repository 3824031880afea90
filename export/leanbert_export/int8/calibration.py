"""Record the rows that each matmul reads on calibration texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from leanbert.batching.order import cut_batches
from leanbert.cpu import allowed_cores
from leanbert.engines.ort import ort
from leanbert.engines.padding import pad
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.graph.final import FinalGraph, Matmul
from leanbert_export.int8.ranges import Sample

MAX_TOKENS = 16_384
"""Tokens whose rows are recorded: 0.9 GB of float16 for BERT-base. More gave no measurable gain."""

_BATCH = 2048  # padded tokens
_WEIGHTS = "calibration.onnx.data"


def record_inputs(
    final: FinalGraph, tokenizer: Tokenizer, texts: Sequence[TextInput], scratch: Path
) -> dict[str, Sample]:
    """Run the texts through the final fp32 graph, and record what each matmul reads.

    Args:
        final: the fp32 graph; it is changed meanwhile, and as it was on return.
        tokenizer: of the bundle.
        texts: to be run, until :data:`MAX_TOKENS` tokens have been seen.
        scratch: a folder for a copy of the graph and its weights.

    Returns:
        The rows by the matmul's name.
    """
    model, matmuls = final.model, final.matmuls
    before = list(model.graph.outputs)
    taps = {_name_of(matmul.input, matmul): matmul.input for matmul in matmuls}
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
    return {matmul.name: seen[_name_of(matmul.input, matmul)] for matmul in matmuls}


def _name_of(value: ir.Value, matmul: Matmul) -> str:
    """The name of a matmul's input, which gets one if it has none."""
    if value.name is None:
        value.name = f"{matmul.name}/input"
    return value.name


def _collect(
    session: ort.InferenceSession,
    names: list[str],
    tokenizer: Tokenizer,
    texts: Sequence[TextInput],
) -> dict[str, Sample]:
    wanted = {node.name for node in session.get_inputs()}
    encodings = tokenizer.encode(list(texts), truncation=True)
    batches, tokens = [], 0
    for batch in _mixed(cut_batches(encodings.lengths, _BATCH)):
        batches.append(batch)
        tokens += int(encodings.lengths[batch].sum())
        if tokens >= MAX_TOKENS:
            break
    # Made at their full size, since growing would hold everything twice for a while.
    rows: dict[str, npt.NDArray[np.float16]] = {}
    first: dict[str, npt.NDArray[np.bool_]] = {}
    filled = dict.fromkeys(names, 0)
    for batch in batches:
        inputs = pad(encodings.take(batch), 0)  # the mask hides whatever id fills the rows
        mask = inputs["attention_mask"].astype(bool)
        starts = np.zeros(mask.shape, bool)
        starts[:, 0] = True
        outputs = session.run(names, {k: v for k, v in inputs.items() if k in wanted})
        for name, found in zip(names, outputs, strict=True):
            every = found.ndim == 3 and found.shape[:2] == mask.shape
            kept = found[mask] if every else found.reshape(-1, found.shape[-1])
            if name not in rows:
                number = tokens if every else sum(map(len, batches)) * (len(kept) // len(mask))
                rows[name] = np.empty((number, found.shape[-1]), np.float16)
                first[name] = np.empty(number, bool)
            place = slice(filled[name], filled[name] + len(kept))
            rows[name][place] = kept
            first[name][place] = starts[mask] if every else True
            filled[name] = place.stop
        del outputs
    return {name: Sample(rows[name][:end], first[name][:end]) for name, end in filled.items()}


def _mixed(batches: list[list[int]]) -> list[list[int]]:
    """Batches of long and of short texts by turns, so that a part of them is a mixture too."""
    order = np.random.default_rng(0).permutation(len(batches))
    return [batches[i] for i in order]
