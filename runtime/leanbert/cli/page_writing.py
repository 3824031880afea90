"""Answers as one HTML page, which is written when the last answer is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from leanbert.cli.answers import Answers
from leanbert.cli.inputs import COMMAND_LINE, Record
from leanbert.cli.writing import TextOut, Writer
from leanbert.pages.page import Page

__all__ = ["PageWriter"]

_TITLE = "LeanBERT"


class PageWriter(Writer):
    """Writes a page; see :mod:`leanbert.pages`.

    Args:
        show: what the task's answers look like.
        out: where to write.
        path: of the page, whose name is its title; ``None`` is stdout.
        given: makes what the pipeline takes of a record; ``None`` takes its text.
    """

    def __init__(
        self,
        show: Answers,
        out: TextOut,
        path: Path | None,
        given: Callable[[Record], Any] | None,
    ) -> None:
        super().__init__(show)
        self._out, self._given = out, given
        self._page = Page(_TITLE if path is None else path.name.partition(".")[0] or _TITLE)

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`Writer`.

        Raises:
            InputError: a page cannot show such an answer.
        """
        self.rows(record, answer)
        where = record.row.where
        given = self._given_of(record, answer)
        self._page.add(given, answer, None if where == COMMAND_LINE else where)

    def _given_of(self, record: Record, answer: Any) -> Any:
        """What the pipeline took; of all texts that were ranked together, the query."""
        first = answer[0] if isinstance(answer, list) and answer else None
        ranked = isinstance(first, dict) and "corpus_id" in first
        return record.text if ranked or self._given is None else self._given(record)

    def finish(self) -> None:
        """See :class:`Writer`."""
        self._out.write(self._page.html())
