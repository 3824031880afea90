"""An ONNX Runtime session whose weights are copies in memory.

Given a path, ONNX Runtime maps the weights file and keeps it mapped. Who then changes the file in
place changes the answers, and who cuts it short ends the process with a bus error. It also refuses
weights that are links out of the folder, as in the hub's cache, and needs ``/proc`` (1.32). So
everything is read here: measured with the embedded model, a process that has answered holds 97 MB
instead of 94, and briefly the weights (10 MB) more while it loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.bundle import Bundle
from leanbert.bundle.graph_file import External, parse_graph
from leanbert.bundle.reading import read_whole, status
from leanbert.bundle.values import WrongValueError
from leanbert.engines.ort import ort
from leanbert.errors import BundleCorruptError

__all__ = ["first_line", "open_session"]

_LARGE = 64 << 20  # bytes of a graph that holds its weights itself; it is read and never mapped
_NUMPY = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8",
    12: "u4", 13: "u8",
}  # fmt: skip
"""numpy's names of ``TensorProto.DataType``."""


def open_session(
    bundle: Bundle, options: ort.SessionOptions, disabled: Sequence[str]
) -> tuple[ort.InferenceSession, object]:
    """A session on the CPU provider, and what must live as long as it does.

    Args:
        bundle: what to run.
        options: the session's; the weights are added to them.
        disabled: names of graph optimizations to leave out.

    Raises:
        BundleCorruptError: the graph or its weights cannot be read, or ONNX Runtime refuses them.
    """
    weights = _Weights()
    found = status(bundle.model_path)
    if found is not None and found.st_size > _LARGE:
        model: str | bytes = str(bundle.model_path)
    else:
        model = bundle.graph_bytes()
        weights = _add_weights(bundle, model, options)
    try:
        session = ort.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)
        )
    except Exception as error:  # ORT raises its own classes, all directly below Exception
        raise BundleCorruptError(
            f"{bundle.model_path}: ONNX Runtime cannot load it ({first_line(error)}); "
            "copy or export it again"
        ) from error
    bundle.check_unchanged()  # what was loaded is what was checked
    return session, weights.for_session


def first_line(error: Exception) -> str:
    """The first line of ONNX Runtime's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@dataclass(frozen=True)
class _Weights:
    """What ONNX Runtime does not own of the memory that it was given."""

    for_loading: object = None
    """Needed until the session is made, which copies it."""
    for_session: object = None
    """Needed as long as the session."""


def _add_weights(bundle: Bundle, model: bytes, options: ort.SessionOptions) -> _Weights:
    """Read the weights that lie outside the graph and give them to the session's options."""
    try:
        external = parse_graph(model).external
    except WrongValueError as error:
        raise BundleCorruptError(
            f"{bundle.model_path}: {error}; copy or export it again"
        ) from error
    locations = dict.fromkeys(tensor.location for tensor in external)
    files = {location: read_whole(bundle.weights_path(location)) for location in locations}
    if files and hasattr(options, "add_external_initializers_from_files_in_memory"):
        options.add_external_initializers_from_files_in_memory(
            list(files), list(files.values()), [len(content) for content in files.values()]
        )
        return _Weights(for_loading=files)
    # Before 1.24 each tensor is given by itself, and the memory stays the caller's.
    try:
        arrays = [_array(tensor, files[tensor.location]) for tensor in external]
    except (KeyError, ValueError) as error:
        raise BundleCorruptError(
            f"{bundle.model_path}: has weights that onnxruntime {ort.__version__} cannot take "
            f"({error}); upgrade it to 1.24 or newer, or export the bundle again"
        ) from error
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]
    options.add_external_initializers([tensor.name for tensor in external], values)
    return _Weights(for_session=(arrays, values))


def _array(tensor: External, content: bytearray) -> npt.NDArray[Any]:
    """The tensor's numbers where they lie in ``content``, the file that it names."""
    dtype = np.dtype(_NUMPY[tensor.data_type])
    flat = np.frombuffer(content, dtype, prod(tensor.dims), tensor.offset)
    return flat.reshape(tensor.dims)
