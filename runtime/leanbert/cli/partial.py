"""An output that survives an interruption: a partial file, and a journal of what is safe in it.

While ``answers.csv`` is written there are beside it

* ``answers.csv.partial``: the rows so far;
* ``answers.csv.partial.errors``: the rows that failed, if there are any;
* ``answers.csv.partial.journal``: see :mod:`leanbert.cli.journal`.

The order of the calls is what makes it safe. A state is journaled after the rows that belong to it
lie on the disk, so whatever the journal speaks of is there; what follows it in the partial file is
cut off before the run goes on. The finished file is on the disk before the journal calls it
finished, then it takes its name in one step, and only when its name is durable does the journal go.
Each of these steps can be done a second time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leanbert.cli.appended import Appended, Extent, extent_of, hashed
from leanbert.cli.disk import Disk
from leanbert.cli.journal import Journal
from leanbert.errors import InputError

__all__ = ["Partial", "State", "errors_path"]

_ANEW = "--force starts anew"
_BRIEF = 60
"""Characters of a value that a message shows at most."""


@dataclass(frozen=True)
class State:
    """How far a run has come."""

    rows: int = 0
    """Rows of the input that are answered or have failed."""
    failed: int = 0
    """Those of them that have failed."""
    read: str = ""
    """The hash of these rows."""
    output: Extent = (0, "")
    """What the partial file holds of them."""
    errors: Extent = (0, "")
    """What the file of failed rows holds of them."""
    columns: tuple[str, ...] | None = None
    """The columns of the input, where the first row says them."""


def errors_path(output: Path) -> Path:
    """Where the failed rows of an output are written."""
    return output.with_name(f"{output.name}.errors.jsonl")


class Partial:
    """The partial file of an output and its journal.

    Args:
        path: of the output. A link stays a link: the partial file lies beside its target.
        identity: what the answers follow from, by the words that messages use for it. A run goes
            on with a partial file of the same identity only.
        resume: whether it goes on at all.
        force: whether a partial file with which it cannot go on is replaced.
        disk: makes the calls.

    Raises:
        InputError: there is a partial file with which it cannot go on, or another process writes
            the output.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        *,
        resume: bool = True,
        force: bool = False,
        disk: Disk | None = None,
    ) -> None:
        self._disk = disk or Disk()
        self._target = path.resolve()
        self.path = self._beside("")
        """Of the partial file."""
        self._errors_path, self._whole_path = self._beside(".errors"), self._beside(".whole")
        self._journal = Journal(self._beside(".journal"), self._disk)
        self._finished: dict[str, Any] | None = None
        self._files: list[Appended] = []  # that were opened
        self._hashes: dict[Path, Any] = {}  # of what is kept of an earlier run's files
        self._errors: Appended | None = None
        self.kept = False
        """Whether the partial file stays if the run is interrupted."""
        self.state = State()
        """What is safe on the disk."""
        try:
            self._begin(dict(identity), resume=resume, force=force)
        except BaseException:
            self._close_files()
            self._journal.close()
            raise

    def _appended(self, path: Path, size: int = 0) -> Appended:
        """A file that is closed with all others."""
        opened = Appended(self._disk, path, size, self._hashes.pop(path, None))
        self._files.append(opened)
        return opened

    def _beside(self, ending: str) -> Path:
        return self._target.with_name(f"{self._target.name}.partial{ending}")

    def _begin(self, identity: dict[str, Any], *, resume: bool, force: bool) -> None:
        records = self._journal.records if resume else []
        reason = _difference(records[0], identity) if records else ""
        if records and not reason:
            reason = self._restore(records)
        if reason and not force:
            raise InputError(f"{self.path}: {reason}; {_ANEW}")
        if reason or not (self.state.rows or self._finished):
            self.state, self._finished = State(), None
            self._hashes.clear()
            self._journal.clear()
        self.kept = bool(self.state.rows or self._finished)
        if self._finished:
            return
        self.output = self._appended(self.path, self.state.output[0])
        if self.state.errors[0]:
            self._errors = self._appended(self._errors_path, self.state.errors[0])
        if not self._journal.records:
            if os.name != "nt" and self._target.exists():
                self.path.chmod(self._target.stat().st_mode & 0o777)
            self._journal.append(identity)
            self._disk.sync_folder(self.path.parent)

    def _restore(self, records: list[dict[str, Any]]) -> str:
        """Take the last state over, or say why that cannot be."""
        if "finished" in records[-1]:
            self._finished = records.pop()
        if len(records) > 1:
            found = records[-1]
            columns = found["columns"]
            self.state = State(
                found["rows"], found["failed"], found["read"], _extent(found["output"]),
                _extent(found["errors"]), None if columns is None else tuple(columns),
            )  # fmt: skip
        if self._finished:
            wanted = _extent(self._finished["finished"])
            there = any(extent_of(path) == wanted for path in (self._made(), self._target))
            return "" if there else "the finished file was changed since"
        for path, (size, digest) in [
            (self.path, self.state.output), (self._errors_path, self.state.errors),
        ]:  # fmt: skip
            if not size:
                continue
            kept = hashed(path, size)
            if kept is None or kept[1].hexdigest() != digest:
                return f"{path.name} was changed since"
            self._hashes[path] = kept[1]
        return ""

    def _made(self) -> Path:
        """Where the finished file lies before it has its name."""
        built = self._finished is not None and self._finished["built"]
        return self._whole_path if built else self.path

    @property
    def finished(self) -> bool:
        """Whether all rows were answered by an earlier run, which was interrupted after that."""
        return self._finished is not None

    def fail(self, data: bytes) -> None:
        """Add to the file of the rows that failed."""
        if self._errors is None:
            self._errors = self._appended(self._errors_path)
        self._errors.write(data)

    @property
    def errors(self) -> Extent:
        """What the file of the rows that failed holds."""
        return (0, "") if self._errors is None else self._errors.extent

    def save(self, state: State) -> None:
        """Make a state durable: first what it speaks of, then the journal's line."""
        self.output.sync()
        if self._errors is not None and state.failed > self.state.failed:
            self._errors.sync()
            self._disk.sync_folder(self.path.parent)
        self.kept = True  # before: a signal may come while the line is written
        self._journal.append(asdict(state))
        self.state = state

    def finish(self, state: State, build: Callable[[Path, Appended], None] | None = None) -> None:
        """Make the whole file durable, and say so in the journal.

        Args:
            state: after the last row.
            build: makes the output of the partial file, where that is not the output itself.
        """
        self.save(state)
        made = self.output
        if build is not None:
            made = self._appended(self._whole_path)
            build(self.path, made)
            made.sync()
            if os.name != "nt":
                self._whole_path.chmod(self.path.stat().st_mode & 0o777)
            self._disk.sync_folder(self.path.parent)
        finished = {"finished": made.extent, "built": build is not None}
        self._journal.append(finished)
        self._finished = finished

    def publish(self) -> None:
        """Give the finished file, and that of the failed rows, their names."""
        self._close_files()
        errors = errors_path(self._target)
        if self.state.failed and self._errors_path.exists():
            self._disk.replace(self._errors_path, errors)
        elif not self.state.failed:
            self._disk.remove(self._errors_path)
            self._disk.remove(errors)  # of an earlier run, whose output goes, too
        made = self._made()
        if made.exists():  # an earlier run may have come as far as here
            self._disk.replace(made, self._target)
        self._disk.sync_folder(self.path.parent)

    def forget(self) -> None:
        """Remove the journal, after the output has its name."""
        self._disk.remove(self.path)  # where the output was made of it
        self._journal.remove()
        self._disk.sync_folder(self.path.parent)

    def close(self) -> None:
        """Let go of the files. They stay if a state was saved; else all of them go."""
        self._close_files()
        if self.kept:
            self._journal.close()
            return
        try:
            for path in (self.path, self._errors_path, self._whole_path):
                self._disk.remove(path)
            self._journal.remove()
        finally:
            self._journal.close()

    def _close_files(self) -> None:
        for opened in self._files:
            opened.close()


def _extent(found: list[Any]) -> Extent:
    return int(found[0]), str(found[1])


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why a partial file of the identity ``before`` is another run's; empty if it is not."""
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _difference(old, new)
            if inner:
                return inner
        elif old != new:
            return f"was begun {_described(name, old)}, and this command has {_brief(new)}"
    return ""


def _described(name: str, value: object) -> str:
    if value is None:
        return f"without {name}"
    return f"with {name} {_brief(value)}"


def _brief(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 1]}…"
