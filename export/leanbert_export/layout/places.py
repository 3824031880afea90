"""Say where the bytes of each tensor are in the saved graph's file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from leanbert.engines.native.layout import format_of
from leanbert_export.architectures.description import Encoder
from leanbert_export.layout.architecture import NoLayoutError, architecture_of

__all__ = ["make_layout"]

_DTYPES = {onnx.TensorProto.INT8: ("int8", 1), onnx.TensorProto.FLOAT: ("float32", 4)}


def make_layout(encoder: Encoder, roles: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Make the manifest's value of ``native``, for the saved graph at ``path``.

    Args:
        encoder: the description that the graph was built from.
        roles: the name of the initializer of each tensor.
        path: of the graph.

    Raises:
        NoLayoutError: the native engine does not compute the encoder, or a tensor is not in the
            weights file at a multiple of its width.
    """
    architecture = architecture_of(encoder)
    saved = {
        tensor.name: tensor
        for tensor in onnx.load(str(path), load_external_data=False).graph.initializer
    }
    tensors: dict[str, Any] = {}
    files = set()
    for role, name in roles.items():
        tensor = saved.get(name)
        if tensor is None or tensor.data_location != onnx.TensorProto.EXTERNAL:
            raise NoLayoutError(f"{role} is not in the weights file")
        if tensor.data_type not in _DTYPES:
            raise NoLayoutError(f"{role} is neither int8 nor float32")
        dtype, width = _DTYPES[tensor.data_type]
        place = {entry.key: entry.value for entry in tensor.external_data}
        files.add(place["location"])
        offset = int(place.get("offset", 0))
        if offset % width:
            raise NoLayoutError(f"{role} starts at byte {offset}")
        shape = list(tensor.dims)
        size = width * int(np.prod(shape))
        if role.endswith("_scale"):  # of rows: (rows, 1) in the graph
            shape = shape[:1]
        tensors[role] = {"dtype": dtype, "shape": shape, "offset": offset, "bytes": size}
    if len(files) != 1:
        raise NoLayoutError("the weights are in several files")
    return {
        "format": format_of(architecture),
        "file": files.pop(),
        "architecture": architecture,
        "tensors": tensors,
    }
