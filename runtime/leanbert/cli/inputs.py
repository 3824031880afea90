"""The inputs of ``leanbert predict``, and those that cannot be answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from leanbert.records import Row

__all__ = ["Entry", "Failure", "Record", "argument_records"]

COMMAND_LINE = "the command line"
"""Where a row is whose text is an argument."""


class Record(NamedTuple):
    """One input: the text, its pair if any, the row it came in, and its number from 0 on."""

    text: str
    text_pair: str | None = None
    row: Row = Row({})
    number: int = 0

    @property
    def model_input(self) -> str | dict[str, str]:
        """What a pipeline takes."""
        if self.text_pair is None:
            return self.text
        return {"text": self.text, "text_pair": self.text_pair}


class Failure(NamedTuple):
    """A row that cannot be answered, and why."""

    row: Row
    number: int
    reason: str


class Entry(NamedTuple):
    """A record, and what the pipeline takes for it."""

    record: Record
    given: Any


def argument_records(texts: Sequence[str]) -> Iterator[Record]:
    """Yield the texts of the command line."""
    for number, text in enumerate(texts):
        yield Record(text, row=Row({"text": text}, COMMAND_LINE), number=number)
