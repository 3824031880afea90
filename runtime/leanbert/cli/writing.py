"""Writers of ``leanbert predict``: a table, tab-separated lines, JSON lines and CSV."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol

from leanbert.cli.answers import Answers
from leanbert.cli.cells import check_finite, exact_cell, json_line
from leanbert.cli.inputs import Record
from leanbert.errors import InputError
from leanbert.records.repeats import distinct_names
from leanbert.shown import shown

__all__ = [
    "Columns",
    "CsvWriter",
    "JsonWriter",
    "LinesWriter",
    "TableWriter",
    "TextOut",
    "Writer",
]


class TextOut(Protocol):
    """Where text is written: a stream, or a partial file."""

    def write(self, text: str, /) -> object:
        """Write ``text``."""

    def isatty(self) -> bool:
        """Whether a person watches."""


class Writer(ABC):
    """Writes each input with its answer; a context manager.

    Args:
        show: what the task's answers look like.
    """

    def __init__(self, show: Answers) -> None:
        self.show = show

    @abstractmethod
    def write(self, record: Record, answer: Any) -> None:
        """Write one answer.

        Raises:
            InputError: the input has columns that the output cannot take any more.
            LeanBertError: a number of the answer is not finite.
        """

    def rows(self, record: Record, answer: Any) -> list[list[Any]]:
        """The rows of an answer; all their numbers are finite."""
        rows = self.show.rows(answer)
        check_finite(rows, record.row.where)
        return rows

    def finish(self) -> None:  # noqa: B027 - most writers have nothing left to do
        """Write what is left, after the last answer."""

    def abandon(self) -> None:  # noqa: B027 - most writers hold nothing
        """Let go of the output, after an error."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon()


class TableWriter(Writer):
    """A table for people."""

    def __init__(self, show: Answers, out: TextOut) -> None:
        super().__init__(show)
        self._out = out

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`Writer`."""
        self.rows(record, answer)
        self._out.write(self.show.table(record, answer))


class LinesWriter(TableWriter):
    """Tab-separated lines without a header."""

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`Writer`."""
        self.rows(record, answer)
        for cells in self.show.cells(record, answer):
            self._out.write("\t".join(cells) + "\n")


class JsonWriter(Writer):
    """A JSON object per line: the input's own keys, then the answer's.

    Args:
        show: what the task's answers look like.
        out: where to write.
        known: the keys of all inputs, if they are known beforehand. An answer's key that an input
            has is written as ``predicted_label``, so that the input's stays what it is.
        chosen: the only keys of the input to write; ``None`` for all.
    """

    def __init__(
        self,
        show: Answers,
        out: TextOut,
        known: Iterable[str] = (),
        chosen: Sequence[str] | None = None,
    ) -> None:
        super().__init__(show)
        self._out, self._chosen = out, chosen
        self._known = set(known if chosen is None else chosen)

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`Writer`."""
        own, fields = record.row.values, self.show.fields(answer)
        if self._chosen is not None:
            own = {name: own[name] for name in self._chosen if name in own}
        names = distinct_names(fields, self._known.union(own))
        values = {**own, **dict(zip(names, fields.values(), strict=True))}
        self._out.write(json_line(values, fields, record.row.where))


class Columns:
    """The columns of a table that has the same ones in each row.

    Args:
        show: what the task's answers look like.
        known: the columns of all inputs; ``None`` takes those of the first one.
        numbered: whether the first column is the number of the input.
        parted: the column of the text whose parts the rows hold. It is left out, since it would
            repeat the whole text beside each of its parts, unless ``chosen`` names it.
        chosen: the only columns of the input to write, in this order; ``None`` for all.
    """

    def __init__(
        self,
        show: Answers,
        known: Sequence[str] | None = None,
        *,
        numbered: bool = False,
        parted: str | None = None,
        chosen: Sequence[str] | None = None,
    ) -> None:
        self._show = show
        self._numbered = numbered
        self._parted = parted
        self._chosen = chosen
        self.known: tuple[str, ...] | None = None
        """The columns of all inputs; ``None`` until they are known."""
        self.own: list[str] = []
        """The input's columns, without the one that is left out."""
        self.names: list[str] = []
        """Of all columns, in order; empty until they are known."""
        if known is not None:
            self._settle(known)

    def _settle(self, known: Collection[str]) -> None:
        self.known = tuple(known)
        if self._chosen is None:
            self.own = [name for name in known if name != self._parted]
        else:
            self.own = list(self._chosen)
        taken = [*distinct_names(["document"] * self._numbered, self.own), *self.own]
        answers = distinct_names(self._show.columns, taken)
        labels = distinct_names(self._show.label_columns, [*taken, *answers], "label_")
        self.names = [*taken, *answers, *labels]

    def of(self, record: Record) -> list[Any]:
        """The values of an input's own columns, and its number.

        Raises:
            InputError: it has a column that the first input lacks.
        """
        values = record.row.values
        if not self.names:
            self._settle(values.keys())
        extra = None
        if self._chosen is None:
            extra = next((name for name in values if name not in (self.known or ())), None)
        if extra is not None:
            raise InputError(
                f"{record.row.where}: has {extra!r}, which the first row lacks; a table needs all "
                "columns beforehand: write JSON lines (--json), or read a file and not a pipe"
            )
        number = [record.number] if self._numbered else []
        return [*number, *(values.get(name) for name in self.own)]


class CsvWriter(Writer):
    """CSV with a header: the input's own columns, then the answer's.

    Args:
        show: what the task's answers look like.
        out: where to write. On a terminal control characters are shown as escapes.
        columns: the columns; if they are known already, the header is written without any row.
        delimiter: between cells.
        begun: whether the header is written already.
    """

    def __init__(
        self,
        show: Answers,
        out: TextOut,
        columns: Columns,
        *,
        delimiter: str = ",",
        begun: bool = False,
    ) -> None:
        super().__init__(show)
        import csv  # late: who writes no CSV does not wait for it

        self._columns = columns
        self._csv = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        self._watched = out.isatty()
        self._begun = begun
        if columns.names and not begun:
            self._begin()

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`Writer`."""
        before = self._columns.of(record)
        if not self._begun:
            self._begin()
        for row in self.rows(record, answer):
            self._line([*before, *row])

    def _begin(self) -> None:
        self._begun = True
        self._line(self._columns.names)

    def _line(self, row: Sequence[Any]) -> None:
        cells = [exact_cell(value) for value in row]
        if self._watched:
            cells = [shown(cell) if isinstance(cell, str) else cell for cell in cells]
        self._csv.writerow(cells)
