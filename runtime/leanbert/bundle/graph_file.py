"""What an ONNX file says of itself, read without the onnx package: operators and weights outside.

The field numbers are those of onnx/onnx.proto, the encoding is that of protobuf.dev. Only sizes
are trusted that lie inside the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leanbert.bundle.values import WrongValueError, brief

__all__ = ["External", "GraphFile", "parse_graph"]

_DEEPEST = 8  # graphs within graphs, as loops and conditions have
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_EXTERNAL = 1  # TensorProto.DataLocation


@dataclass(frozen=True)
class External:
    """A tensor whose numbers lie in another file (ONNX external data)."""

    name: str
    data_type: int
    """``TensorProto.DataType``, for example 1 for float32 and 3 for int8."""
    dims: tuple[int, ...]
    location: str
    """The file, relative to the graph's folder."""
    offset: int
    """Its first byte in that file."""
    initializer: bool
    """Whether it is one of the main graph's; others belong to a node, or to a graph in a node."""


@dataclass(frozen=True)
class GraphFile:
    """The part of an ONNX model that LeanBERT looks at itself."""

    operators: Mapping[str, int]
    """How many nodes each operator has in the main graph."""
    external: Sequence[External]


def parse_graph(data: bytes) -> GraphFile:
    """Read an ONNX model.

    Args:
        data: the content of ``model.onnx``.

    Raises:
        WrongValueError: it is no ONNX model, or was cut short.
    """
    operators: Counter[str] = Counter()
    external: list[External] = []
    graphs = 0
    for number, value in _fields(memoryview(data)):
        if number == 7 and isinstance(value, memoryview):
            graphs += 1
            _read_graph(value, operators, external, 0)
    if graphs != 1:
        raise WrongValueError("it has no graph")
    return GraphFile(dict(operators), external)


def _read_graph(
    graph: memoryview, operators: Counter[str] | None, external: list[External], depth: int
) -> None:
    if depth > _DEEPEST:
        raise WrongValueError(f"it has graphs in more than {_DEEPEST} levels")
    for number, value in _messages(graph):
        if number == 1:
            _read_node(value, operators, external, depth)
        elif number == 5:
            _read_tensor(value, external, initializer=depth == 0)


def _read_node(
    node: memoryview, operators: Counter[str] | None, external: list[External], depth: int
) -> None:
    for number, value in _messages(node):
        if number == 4 and operators is not None:
            operators[_text(value)] += 1
        # An attribute may hold tensors or graphs. One without this key has no weights outside.
        elif number == 5 and b"location" in bytes(value):
            for kind, content in _messages(value):
                if kind in (5, 10):
                    _read_tensor(content, external, initializer=False)
                elif kind in (6, 11):
                    _read_graph(content, None, external, depth + 1)


def _read_tensor(tensor: memoryview, external: list[External], *, initializer: bool) -> None:
    entries: dict[str, str] = {}
    dims: list[int] = []
    name, data_type, outside = "", 0, False
    for number, value in _fields(tensor):
        if number == 1:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == 2 and isinstance(value, int):
            data_type = value
        elif number == 8:
            name = _text(value)
        elif number == 13 and isinstance(value, memoryview):
            pair = {kind: _text(content) for kind, content in _messages(value)}
            entries[pair.get(1, "")] = pair.get(2, "")
        elif number == 14:
            outside = value == _EXTERNAL
    if outside:
        external.append(
            External(
                name,
                data_type,
                tuple(dims),
                entries.get("location", ""),
                _offset(entries.get("offset", "0")),
                initializer,
            )
        )


def _offset(digits: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        raise WrongValueError(f"it has weights at {brief(digits)}, which is no offset")
    return int(digits)


def _messages(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message that hold bytes: strings and messages."""
    for number, value in _fields(view):
        if isinstance(value, memoryview):
            yield number, value


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field of a message with its number, in order."""
    at, end = 0, len(view)
    while at < end:
        tag, at = _varint(view, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(view, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(view, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise WrongValueError("it is no ONNX model")
        if size > end - at:
            raise WrongValueError("it is no ONNX model, or was cut short")
        yield number, view[at : at + size]
        at += size


def _packed(view: memoryview) -> list[int]:
    """Several numbers, one after the other."""
    numbers: list[int] = []
    at = 0
    while at < len(view):
        number, at = _varint(view, at)
        numbers.append(number)
    return numbers


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """A number of up to 10 bytes, and where the next one begins."""
    value = shift = 0
    while at < len(view) and shift < 70:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WrongValueError("it is no ONNX model, or was cut short")


def _text(value: int | memoryview) -> str:
    try:
        return bytes(value).decode("utf-8") if isinstance(value, memoryview) else ""
    except UnicodeDecodeError:
        raise WrongValueError("it has a name that is no UTF-8") from None
