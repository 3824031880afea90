"""The inputs of ``leanbert predict``: its arguments, or the records of a file or stdin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from leanbert.records import Row, Table

__all__ = ["Record", "argument_records", "table_records"]


@dataclass(frozen=True)
class Record:
    """One input: the text, its pair if any, and the row it came in."""

    text: str
    text_pair: str | None = None
    row: Row = field(default_factory=Row)

    @property
    def model_input(self) -> str | dict[str, str]:
        """What a pipeline takes."""
        if self.text_pair is None:
            return self.text
        return {"text": self.text, "text_pair": self.text_pair}


def argument_records(texts: Sequence[str]) -> Iterator[Record]:
    """Yield the texts of the command line."""
    for text in texts:
        yield Record(text, row=Row({"text": text}, "the command line"))


def table_records(
    table: Table, *, text_column: str, text_pair_column: str | None = None
) -> Iterator[Record]:
    """Yield the rows of a table with their texts. Bare lines need no column's name.

    Raises:
        InputError: a row has no text where one is needed.
    """
    column = "text" if table.lines else text_column
    table.require(column, "--text-column")
    if text_pair_column is not None:
        table.require(text_pair_column, "--text-pair-column")
    for row in table.rows:
        pair = None
        if text_pair_column is not None:
            pair = row.text(text_pair_column, "--text-pair-column")
        yield Record(row.text(column), pair, row)
