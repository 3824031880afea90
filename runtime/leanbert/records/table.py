"""An opened file: its rows, and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leanbert.errors import InputError
from leanbert.records.model import Row
from leanbert.shown import listed

__all__ = ["Table"]


@dataclass
class Table:
    """An opened file."""

    name: str
    """As messages call it."""
    format: str
    """One of :data:`leanbert.records.FORMATS`."""
    rows: Iterator[Row]
    """Lazily, once."""
    columns: tuple[str, ...] | None = None
    """The columns that the file declares; ``None`` where each row names its own (``jsonl``)."""
    schema: Any = None
    """The Arrow schema of a Parquet or Arrow file."""
    count: int | None = None
    """The number of rows, where the file says it beforehand."""

    @property
    def lines(self) -> bool:
        """Whether its rows are bare lines, whose only column is called ``"text"``."""
        return self.format == "txt" and self.columns == ("text",)

    def require(self, column: str, flag: str) -> None:
        """Check that the file declares ``column``, which ``flag`` chose.

        Raises:
            InputError: it declares its columns, and not this one.
        """
        if self.columns is None or column in self.columns:
            return
        if self.lines:
            raise InputError(
                f"{self.name}: a .txt file has no column {column!r}; for lines such as text@label "
                "pass --delimiter @"
            )
        has = listed(list(map(repr, self.columns)), "and") or "none"
        raise InputError(f"{self.name}: no column {column!r}; it has {has} (pass {flag})")
