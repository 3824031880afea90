"""What a graph computes with, read from its file without its weights, however large it is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from math import prod
from pathlib import Path
from typing import TypeAlias

from leanbert.bundle.reading import open_regular
from leanbert.bundle.values import WrongValueError

__all__ = ["GraphSummary", "summarize_graph"]

_CHUNK = 1 << 12  # bytes that are read at once
_MOST_AXES = 16
_LONGEST_NAME = 256  # bytes
_WRONG = "it is no ONNX model, or was cut short"

_Span: TypeAlias = "tuple[int, int]"
"""Where a field's content begins and ends in the file."""


@dataclass(frozen=True)
class GraphSummary:
    """The operators of an ONNX model's main graph, and the types of its weights."""

    operators: Mapping[str, int]
    """How many nodes each operator has."""
    weights: Mapping[int, int]
    """How many numbers of each ``TensorProto.DataType`` its initializers have."""


def summarize_graph(path: Path) -> GraphSummary:
    """Read the summary of an ONNX model.

    The field numbers are those of onnx/onnx.proto, as in :mod:`leanbert.bundle.graph_file`.

    Raises:
        BundleError: the file is missing or cannot be read.
        WrongValueError: it is no ONNX model, or was cut short.
    """
    operators: Counter[str] = Counter()
    weights: Counter[int] = Counter()
    with open_regular(path) as file:
        reader = _Reader(file)
        whole = 0, os.fstat(file.fileno()).st_size
        for graph in reader.parts(whole, 7):
            for node in reader.parts(graph, 1):
                operators.update(map(reader.name, reader.parts(node, 4)))
            for tensor in reader.parts(graph, 5):
                data_type, size = _tensor(reader, tensor)
                weights[data_type] += size
    return GraphSummary(operators, weights)


def _tensor(reader: _Reader, tensor: _Span) -> tuple[int, int]:
    """A tensor's type, and how many numbers its axes say that it has."""
    dims: list[int] = []
    data_type = 0
    for number, value in reader.fields(tensor):
        if number == 1:
            dims += [value] if isinstance(value, int) else reader.packed(value)
        elif number == 2 and isinstance(value, int):
            data_type = value
        if len(dims) > _MOST_AXES:
            raise WrongValueError(f"it has a tensor of more than {_MOST_AXES} axes")
    return data_type, prod(dims)


class _Reader:
    """Reads protobuf's fields from a file, a little at a time."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._start, self._held = 0, b""

    def parts(self, span: _Span, wanted: int) -> Iterator[_Span]:
        """The fields of one number that hold bytes."""
        for number, value in self.fields(span):
            if number == wanted and not isinstance(value, int):
                yield value

    def fields(self, span: _Span) -> Iterator[tuple[int, int | _Span]]:
        """Each field of a message with its number: a whole number, or where its bytes are."""
        at, end = span
        while at < end:
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                value, at = self._varint(at, end)
                yield number, value
                continue
            if wire == 2:
                size, at = self._varint(at, end)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise WrongValueError("it is no ONNX model")
            if size > end - at:
                raise WrongValueError(_WRONG)
            yield number, (at, at + size)
            at += size

    def packed(self, span: _Span) -> list[int]:
        """A few whole numbers, one after the other."""
        at, end = span
        numbers: list[int] = []
        while at < end and len(numbers) <= _MOST_AXES:
            number, at = self._varint(at, end)
            numbers.append(number)
        return numbers

    def name(self, span: _Span) -> str:
        """A short text."""
        at, end = span
        self._file.seek(at)
        return self._file.read(min(end - at, _LONGEST_NAME)).decode("utf-8", "replace")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A number of up to 10 bytes, and where the next one begins."""
        value = shift = 0
        while at < end and shift < 70:
            byte = self._byte(at)
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
        raise WrongValueError(_WRONG)

    def _byte(self, at: int) -> int:
        if not self._start <= at < self._start + len(self._held):
            self._file.seek(at)
            self._start, self._held = at, self._file.read(_CHUNK)
            if not self._held:
                raise WrongValueError(_WRONG)
        return self._held[at - self._start]
