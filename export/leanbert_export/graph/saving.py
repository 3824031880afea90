"""Save a graph with its weights in one file beside it, which both engines map."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

WEIGHTS_FILE = "model.onnx.data"
_OUTSIDE = frozenset({ir.DataType.FLOAT, ir.DataType.INT8})


def save_with_weights(model: ir.Model, target: Path) -> None:
    """Write ``model`` to ``target``, its weights to :data:`WEIGHTS_FILE` in the same folder.

    Small vectors go to that file too, since the native engine reads no other. Scalars stay in the
    graph, where shape inference needs them.
    """
    values = [
        value
        for value in model.graph.initializers.values()
        if value.const_value is not None
        and value.const_value.dtype in _OUTSIDE
        and len(value.const_value.shape)
    ]
    tensors = [value.const_value for value in values if value.const_value is not None]
    outside = ir.external_data.convert_tensors_to_external(tensors, target.parent, WEIGHTS_FILE)
    for value, tensor in zip(values, outside, strict=True):
        value.const_value = tensor
    ir.save(model, target)


def replace_graph(folder: Path, model: ir.Model) -> None:
    """Write ``model`` as the only graph of a bundle's folder."""
    for path in folder.glob("model.onnx*"):
        path.unlink()
    save_with_weights(model, folder / "model.onnx")
