"""What a resumable run has answered, and when that is made durable."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Protocol

from leanbert.cli.appended import new_hash
from leanbert.cli.cells import json_line
from leanbert.cli.inputs import Entry, Failure
from leanbert.cli.partial import Partial, State
from leanbert.cli.writing import Columns
from leanbert.errors import InputError
from leanbert.records import Row

__all__ = ["Ledger", "Staged"]

_EVERY = 1.0  # seconds between states that are saved
_RAW = 1 << 16  # characters of a row that failed


class Staged(Protocol):
    """What takes rows on their way into a partial file."""

    @property
    def cut_anywhere(self) -> bool:
        """Whether a run can go on after each row."""

    @property
    def at_cut(self) -> bool:
        """Whether a run can go on after what was written so far."""

    def end_row(self) -> None:
        """Say that all of a row was written."""


class Ledger:
    """Counts the rows of a run, and saves how far it has come.

    Args:
        partial: where the rows go.
        columns: of the output.
    """

    def __init__(self, partial: Partial, columns: Columns) -> None:
        self._partial, self._columns = partial, columns
        self._declared = columns.known is not None and partial.state.columns is None
        self._staged: Staged | None = None
        self._read = new_hash()
        self.rows = self.failed = 0
        """Rows that were answered or have failed; those that have failed."""
        self._cut = partial.state
        """The last state after which a run can go on, where that is not after each row."""
        self._saved_at = time.monotonic()

    def skip(self, entries: Iterator[Entry | Failure]) -> None:
        """Draw the rows that an earlier run answered, and check that they are the same.

        Raises:
            InputError: they are not, or an earlier run has answered all and there are more now.
        """
        state = self._partial.state
        for entry in entries if state.rows else ():
            self._count(entry)
            if self.rows == state.rows:
                break
        if state.rows and (self.rows, self._read.hexdigest()) != (state.rows, state.read):
            raise InputError(
                f"{self._partial.path}: the first {state.rows:,} rows of the input are not those "
                "that it was begun with; --force starts anew"
            )
        if self._partial.finished and next(entries, None) is not None:
            raise InputError(
                f"{self._partial.path}: the input has more rows than the {state.rows:,} that it "
                "was begun with; --force starts anew"
            )
        self.failed = state.failed

    def begin(self, staged: Staged) -> None:
        """Say what takes the rows from now on."""
        self._staged = staged
        self._saved_at = time.monotonic()

    def answered(self, entry: Entry) -> None:
        """Count a row whose answer was written."""
        self._end(entry)

    def fail(self, failure: Failure) -> None:
        """Write a row that failed to the file for these, and count it."""
        self.failed += 1
        self._partial.fail(_failed_line(failure).encode())
        self._end(failure)

    def save_if_due(self) -> None:
        """Make what was answered durable, if the last time is a while ago."""
        if time.monotonic() - self._saved_at >= _EVERY and self.rows > self._partial.state.rows:
            anywhere = self._staged is not None and self._staged.cut_anywhere
            state = self._now() if anywhere else self._cut
            if state.rows > self._partial.state.rows:
                self._partial.save(state)
            self._saved_at = time.monotonic()

    def final(self) -> State:
        """The state after the last row."""
        return self._now()

    def _end(self, entry: Entry | Failure) -> None:
        self._count(entry)
        staged = self._staged
        if staged is not None:
            staged.end_row()
            if staged.at_cut and not staged.cut_anywhere:
                self._cut = self._now()

    def _count(self, entry: Entry | Failure) -> None:
        row = entry.record.row if isinstance(entry, Entry) else entry.row
        self._read.update(_bytes_of(row))
        self.rows += 1

    def _now(self) -> State:
        return State(
            self.rows, self.failed, self._read.hexdigest(), self._partial.output.extent,
            self._partial.errors, None if self._declared else self._columns.known,
        )  # fmt: skip


def _bytes_of(row: Row) -> bytes:
    return repr((list(row.values.items()), row.problem, row.raw)).encode("utf-8", "surrogatepass")


def _failed_line(failure: Failure) -> str:
    """A line of JSON: the row's number from 1 on, where it stands, why it failed, what it holds."""
    row = failure.row
    raw = row.raw.rstrip("\r\n") if row.problem is not None else json_line(row.values).rstrip("\n")
    values: dict[str, Any] = {
        "row": failure.number + 1, "where": row.where, "reason": failure.reason, "raw": raw[:_RAW],
    }  # fmt: skip
    if len(raw) > _RAW:
        values["raw_characters"] = len(raw)
    return json.dumps(values, ensure_ascii=True) + "\n"
