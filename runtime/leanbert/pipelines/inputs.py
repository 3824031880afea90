"""What a caller may give instead of one input, recognized by its methods; no library is imported.

==========================================  ============================================
``str``, a mapping                          one input
list, tuple, another sequence               a list of answers
``Series``, ``Index``, array, column        a list of answers
data set with ``len()`` and an index        answers one by one, in the order of the index
generator, file, rows of a data set, set    answers one by one
``DataFrame``, table                        refused: which column holds the texts?
==========================================  ============================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from leanbert.errors import InputError

__all__ = ["several"]

_LISTING = ("tolist", "to_list", "to_pylist")  # numpy and pandas; polars; pyarrow
_TABLES = frozenset({"pandas", "polars", "pyarrow"})
_EXPECTED = "expected a text, a list of texts or an iterable, got {}"
_BYTES = (bytes, bytearray, memoryview)


def several(inputs: object) -> Sequence[object] | Iterator[object]:
    """Several inputs: a sequence where the caller gave one, an iterator for anything lazy.

    Raises:
        InputError: it is nothing of the kind, or a table whose column is to be chosen.
    """
    if isinstance(inputs, (list, tuple)):
        return inputs
    if isinstance(inputs, (str, Mapping)):
        raise InputError(
            f"expected several texts, got one {type(inputs).__name__}; call the pipeline with it, "
            "or put it into a list"
        )
    columns = _columns(inputs)
    if columns is not None:
        one = columns[0] if columns else "text"
        raise InputError(
            f"got a {type(inputs).__name__} with the columns {', '.join(columns)}; "
            f"pass the column that holds the texts, for example data[{one!r}]"
        )
    if isinstance(inputs, _BYTES):
        raise InputError(_EXPECTED.format(type(inputs).__name__))
    if isinstance(inputs, Sequence):
        return inputs
    for name in _LISTING if len(getattr(inputs, "shape", (0,))) == 1 else ():
        method = getattr(inputs, name, None)
        found = method() if callable(method) else None
        if isinstance(found, list):
            return found
    if isinstance(inputs, Iterable):
        return iter(inputs)
    if hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__"):
        return _by_index(inputs)
    raise InputError(_EXPECTED.format(type(inputs).__name__))


def _columns(inputs: object) -> list[str] | None:
    """The names of a table's columns; ``None`` for what is no table of those libraries."""
    roots = {kind.__module__.partition(".")[0] for kind in type(inputs).__mro__}
    if not roots & _TABLES or len(getattr(inputs, "shape", ())) != 2:
        return None
    names = getattr(inputs, "column_names", None)  # pyarrow, whose columns are arrays
    return [str(name) for name in (getattr(inputs, "columns", ()) if names is None else names)]


def _by_index(data: Any) -> Iterator[object]:
    """The items of a data set that has no iterator of its own, as torch's have none."""
    for i in range(len(data)):
        yield data[i]
