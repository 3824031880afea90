"""Rows of the same token ids, of which one is computed for all.

That is exact: an answer depends on no other text of its batch. News are repeated by several
agencies, and a document's windows or a question's candidates repeat within one call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from leanbert.engines.batch import Batch

__all__ = ["Recent", "Shared"]

Row = TypeVar("Row")

_BYTES = 16 << 20  # of the ids and the results that are remembered
_OBJECT = 400  # bytes that a small result and its places take, measured with tracemalloc


class _Cell(Generic[Row]):
    """What is kept of one row, once it is computed."""

    __slots__ = ("given", "key", "value")

    def __init__(self, key: tuple[bytes, ...]) -> None:
        self.key = key
        self.value: Row
        self.given = False


class Shared(Generic[Row]):
    """The rows of one group, and which of them are to be computed."""

    def __init__(self, cells: Sequence[_Cell[Row]], new: Sequence[int]) -> None:
        self._cells = cells
        self.new = new
        """The numbers of the rows that repeat no other."""

    def __len__(self) -> int:
        return len(self._cells)

    def fill(self, rows: dict[int, Row]) -> list[_Cell[Row]]:
        """Take the results of the new rows out of ``rows``; returns their cells."""
        cells = [self._cells[i] for i in self.new]
        for i, cell in zip(self.new, cells, strict=True):
            cell.value = rows.pop(i)
        return cells

    def row(self, i: int) -> Row:
        """What is kept of row ``i``."""
        cell = self._cells[i]
        value: Any = cell.value
        if cell.given and isinstance(value, np.ndarray):
            value = value.copy()  # callers may be given an array as it is, and may write to it
        cell.given = True
        kept: Row = value
        return kept


class Recent(Generic[Row]):
    """The latest different rows of one call, by their token ids and types.

    What is remembered takes at most about 16 MB, or ``most`` bytes if that is less; the row that
    was seen longest ago is forgotten first. Groups are planned and filled in the same order, by one
    thread.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = _BYTES if most is None else min(most, _BYTES)
        self._cells: OrderedDict[tuple[bytes, ...], _Cell[Row]] = OrderedDict()
        self._bytes = 0

    def plan(self, batch: Batch) -> Shared[Row]:
        """Find the rows of a group that repeat an earlier one of the call."""
        size = batch.input_ids.itemsize
        parts = [batch.input_ids.tobytes()]
        if batch.token_type_ids.any():
            parts.append(batch.token_type_ids.tobytes())
        keys: Iterable[tuple[bytes, ...]]
        ends = [size * start for start in batch.starts]
        keys = zip(*([part[a:b] for a, b in pairwise(ends)] for part in parts), strict=True)
        cells: list[_Cell[Row]] = []
        new: list[int] = []
        for i, key in enumerate(keys):
            cell = self._cells.get(key)
            if cell is None:
                cell = self._cells[key] = _Cell(key)
                new.append(i)
            else:
                self._cells.move_to_end(key)
            cells.append(cell)
        return Shared(cells, new)

    def fill(self, shared: Shared[Row], rows: dict[int, Row]) -> None:
        """Take the results of a group's new rows, and forget what there is no room for."""
        for cell in shared.fill(rows):
            self._bytes += _weight(cell)
        while self._bytes > self._most:
            key, cell = next(iter(self._cells.items()))
            if not hasattr(cell, "value"):  # a later group's, which is still computed
                break
            del self._cells[key]
            self._bytes -= _weight(cell)


def _weight(cell: _Cell[Row]) -> int:
    value, key = cell.value, cell.key
    size = value.nbytes if isinstance(value, np.ndarray) else 0
    return len(key[0]) * len(key) + _OBJECT + size  # a row's ids and types have one size
