"""Read a small safetensors file: the weights of the layers that follow an encoder.

The format: eight bytes with the length of a JSON header, the header, which says the type, the shape
and the place of each tensor, and the bytes of the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.bundle.reading import parse_json_value
from leanbert.bundle.values import WrongValueError, brief, items, mapping, whole
from leanbert.errors import BundleCorruptError

__all__ = ["MOST_TENSOR_BYTES", "parse_tensors"]

MOST_TENSOR_BYTES = 1 << 30
"""Largest size of such a file; a dense layer of 4,096 by 4,096 has 67 MB."""

_LENGTH = 8  # bytes of the header's length, little-endian
_MOST_AXES = 8
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def parse_tensors(data: bytes, where: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors in ``data``, the content of the file at ``where``, as float32 by their names.

    Raises:
        BundleCorruptError: it is no safetensors file, or holds other types than floats.
    """
    size = int.from_bytes(data[:_LENGTH], "little")
    if not size or len(data) < _LENGTH + size:
        raise BundleCorruptError(f"{where}: not a safetensors file; copy the model again")
    content = parse_json_value(data[_LENGTH : _LENGTH + size], where)
    body = memoryview(data)[_LENGTH + size :]
    try:
        return {
            name: _tensor(name, mapping(brief(name), entry), body)
            for name, entry in mapping("the header", content).items()
            if name != "__metadata__"
        }
    except WrongValueError as error:
        raise BundleCorruptError(
            f"{where}: not a safetensors file ({error}); copy the model again"
        ) from error


def _tensor(name: str, entry: Mapping[str, Any], body: memoryview) -> npt.NDArray[np.float32]:
    kind = entry.get("dtype")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise WrongValueError(f"{brief(name)} has the type {brief(kind)}; expected F32")
    axes = items("shape", entry.get("shape"))
    if len(axes) > _MOST_AXES:
        raise WrongValueError(f"{brief(name)} has {len(axes)} axes")
    shape = [whole("shape", axis, 0, len(body)) for axis in axes]
    ends = items("data_offsets", entry.get("data_offsets"))
    places = [whole("data_offsets", end, 0, len(body)) for end in ends]
    dtype = np.dtype(_TYPES[kind])
    if len(places) != 2 or places[1] - places[0] != math.prod(shape) * dtype.itemsize:
        raise WrongValueError(f"{brief(name)} has other bytes than its shape asks for")
    values = np.frombuffer(body[places[0] : places[1]], dtype).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    result: npt.NDArray[np.float32] = np.ascontiguousarray(values, dtype=np.float32)
    return result
