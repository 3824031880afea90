"""An ONNX Runtime session whose weights are copies in memory.

Given a path, ONNX Runtime maps the weights file and keeps it mapped. Who then changes the file in
place changes the answers, and who cuts it short ends the process with a bus error. It also refuses
weights that are links out of the folder, as in the hub's cache, and needs ``/proc`` (1.32). So each
tensor is read here and given to it; it copies them when the session is made. docs/bundles.md says
what that takes of memory. One array for each tensor, not one for the file: freed, the large ones go
back to the system (measured at BERT-base's size: 203 MB after some answers instead of 251).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.bundle import Bundle
from leanbert.bundle.graph_file import External, parse_graph
from leanbert.bundle.reading import open_regular, read_into, read_whole, status
from leanbert.bundle.values import WrongValueError, brief
from leanbert.engines.ort import ort
from leanbert.errors import BundleCorruptError, BundleError

__all__ = ["first_line", "open_session"]

_LARGE = 64 << 20  # bytes of a graph that holds its weights itself; it is read and never mapped
_NUMPY = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8",
    12: "u4", 13: "u8",
}  # fmt: skip
"""numpy's names of ``TensorProto.DataType``."""


def open_session(
    bundle: Bundle, options: ort.SessionOptions, disabled: Sequence[str]
) -> ort.InferenceSession:
    """A session on the CPU provider.

    Args:
        bundle: what to run.
        options: the session's; the weights are added to them.
        disabled: names of graph optimizations to leave out.

    Raises:
        BundleCorruptError: the graph or its weights cannot be read, or ONNX Runtime refuses them.
        BundleError: the weights do not fit into memory.
    """
    weights: object = None
    found = status(bundle.model_path)
    if found is not None and found.st_size > _LARGE:
        model: str | bytes = str(bundle.model_path)
    else:
        model = bundle.graph_bytes()
        try:
            weights = _add_weights(bundle, model, options)
        except MemoryError as error:
            raise BundleError(
                f"{bundle.path}: its weights do not fit into memory; free some, or take a smaller "
                "model"
            ) from error
    try:
        session = ort.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)
        )
    except Exception as error:  # ORT raises its own classes, all directly below Exception
        raise BundleCorruptError(
            f"{bundle.model_path}: ONNX Runtime cannot load it ({first_line(error)}); "
            "copy or export it again"
        ) from error
    session.disable_fallback()  # which would print
    del weights  # up to here ONNX Runtime reads them
    bundle.check_unchanged()  # what was loaded is what was checked
    return session


def first_line(error: Exception) -> str:
    """The first line of ONNX Runtime's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _add_weights(bundle: Bundle, model: bytes, options: ort.SessionOptions) -> object:
    """Read the weights that lie outside the graph and give them to the session's options.

    Returns:
        What must live until the session is made.
    """
    try:
        external = parse_graph(model).external
    except WrongValueError as error:
        raise BundleCorruptError(
            f"{bundle.model_path}: {error}; copy or export it again"
        ) from error
    paths = {tensor.location: bundle.weights_path(tensor.location) for tensor in external}
    if not all(tensor.initializer and tensor.data_type in _NUMPY for tensor in external):
        return _add_files(bundle, paths, options)
    arrays = _read(bundle, external, paths)
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]
    options.add_external_initializers([tensor.name for tensor in external], values)
    return values


def _read(
    bundle: Bundle, external: Sequence[External], paths: Mapping[str, Path]
) -> list[npt.NDArray[Any]]:
    """The tensors, in their order, each in an array of its own."""
    arrays: dict[int, npt.NDArray[Any]] = {}
    for location, path in paths.items():
        own = [i for i, tensor in enumerate(external) if tensor.location == location]
        with open_regular(path) as file:
            left = 2 * os.fstat(file.fileno()).st_size  # a tensor may be named twice, by two nodes
            for i in own:
                tensor = external[i]
                dtype = np.dtype(_NUMPY[tensor.data_type])
                size = prod(tensor.dims) * dtype.itemsize
                left -= size
                if left < 0 or tensor.offset + size > os.fstat(file.fileno()).st_size:
                    raise BundleCorruptError(
                        f"{bundle.model_path}: tensor {brief(tensor.name)} does not lie in "
                        f"{location}; copy or export it again"
                    )
                arrays[i] = np.empty(tensor.dims, dtype)
                read_into(file, tensor.offset, arrays[i])
    return [arrays[i] for i in range(len(external))]


def _add_files(bundle: Bundle, paths: Mapping[str, Path], options: ort.SessionOptions) -> object:
    """The same as whole files, for constants in nodes and for types that numpy does not have."""
    if not hasattr(options, "add_external_initializers_from_files_in_memory"):
        raise BundleCorruptError(
            f"{bundle.model_path}: has weights of a kind that onnxruntime {ort.__version__} does "
            "not take; upgrade it to 1.24 or newer, or export the bundle again"
        )
    files = {location: read_whole(path) for location, path in paths.items()}
    options.add_external_initializers_from_files_in_memory(
        list(files), list(files.values()), [len(content) for content in files.values()]
    )
    return files
