"""Outputs that are written in parts, so that an interrupted command goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leanbert import __version__
from leanbert.bundle import Bundle
from leanbert.bundle.manifest import MANIFEST
from leanbert.cli.file_inputs import FileInputs
from leanbert.cli.flags import flag_of
from leanbert.cli.inputs import Entry, Failure
from leanbert.cli.ledger import Ledger
from leanbert.cli.outputs import KEYED, is_gzipped, make_writer
from leanbert.cli.partial import Partial, errors_path
from leanbert.cli.progress import Progress
from leanbert.cli.running import Run
from leanbert.cli.staging import StagedParquet, StagedText
from leanbert.cli.streams import complain
from leanbert.cli.writing import Columns, Writer
from leanbert.errors import LeanBertError
from leanbert.files import name_full_disk
from leanbert.shown import counted

__all__ = ["write_resumable"]

_ELSEWHERE = frozenset(
    {"bundle", "columns", "command", "delimiter", "encoding", "engine", "force", "form", "input",
     "file_name", "input_format", "max_errors", "max_memory_mb", "mode", "no_quotes",
     "output", "resume", "revision", "subfolder",
     "run", "task", "texts", "threads", "verbose"}
)  # fmt: skip
"""Flags that change no answer, or of which other parts of the identity or the rows tell."""


def write_resumable(run: Run, output: Path, form: str | None, inputs: FileInputs) -> Partial:
    """Answer inputs into a file, going on with what an earlier run left.

    Args:
        run: what all outputs share.
        output: its path.
        form: of the output.
        inputs: the files.

    Returns:
        The partial file, which has become the output. Its journal stays until ``forget``.

    Raises:
        InputError: an input cannot be used, or there is another run's partial file.
        LeanBertError: more rows failed than ``--max-errors`` allows.
        OSError: the disk is full; it names the file.
    """
    args = run.args
    show = run.show()
    with Progress(None, "texts") as progress, name_full_disk(output):
        known, progress.total = inputs.known(keyed=form in KEYED, counted=progress.shown)
        columns = run.columns(show, known, numbered=inputs.numbered, parted=inputs.parted_column)
        schema = inputs.schema() if form == "parquet" else None
        identity = _identity(run, form, known, gzipped=is_gzipped(output))
        partial = Partial(output, identity, resume=args.resume, force=args.force)
        try:
            if columns.known is None and partial.state.columns is not None:
                columns = run.columns(
                    show, partial.state.columns, numbered=inputs.numbered,
                    parted=inputs.parted_column,
                )  # fmt: skip
            writing = _Writing(run, output, partial, columns, progress)
            entries = inputs.entries(run.given(), tolerant=args.max_errors is not None)
            writing.go_on(entries)
            if not partial.finished:
                writing.write(entries, form, show, schema)
            partial.publish()
        except BaseException:
            partial.close()
            if partial.kept:
                answered_rows = partial.state.rows
                rows = counted(answered_rows, "row") if answered_rows else "the first rows"
                complain(
                    f"{partial.path} keeps the answers to {rows}; the same command goes on from "
                    "there"
                )
            raise
    _report(output, partial)
    return partial


class _Writing:
    """The rows of one output."""

    def __init__(
        self, run: Run, output: Path, partial: Partial, columns: Columns, progress: Progress
    ) -> None:
        self._run, self._output, self._partial = run, output, partial
        self._columns, self._progress = columns, progress
        self._ledger = Ledger(partial, columns)

    def go_on(self, entries: Iterator[Entry | Failure]) -> None:
        """Skip what an earlier run answered, and say so."""
        state = self._partial.state
        self._ledger.skip(entries)
        self._progress.skip(state.rows)
        self._progress.failed = state.failed
        if self._partial.finished:
            complain(f"{self._output}: was finished before the command was interrupted")
        elif state.rows:
            complain(f"{self._partial.path}: goes on after {counted(state.rows, 'row')}")

    def write(
        self, entries: Iterator[Entry | Failure], form: str | None, show: Any, schema: Any
    ) -> None:
        """Answer the rest."""
        ledger, output = self._ledger, self._output
        staged: StagedText | StagedParquet
        if form == "parquet":
            staged = StagedParquet(show, self._partial.output, output, self._columns, schema)
            writer: Writer = staged
        else:
            begun = bool(self._partial.output.extent[0])
            staged = StagedText(self._partial.output, gzipped=is_gzipped(output))
            writer = make_writer(
                form or "lines", staged, output, show, self._columns,
                chosen=self._run.args.columns, begun=begun,
            )  # fmt: skip
        ledger.begin(staged)
        tolerant = self._run.args.max_errors is not None
        for found in self._run.answered(
            entries, tolerant=tolerant, before_drawing=ledger.save_if_due
        ):
            if isinstance(found, Failure):
                self._fail(found)
            else:
                entry, answer = found
                writer.write(entry.record, answer)
                ledger.answered(entry)
            self._progress.advance()
            ledger.save_if_due()
        writer.finish()
        if isinstance(staged, StagedText):
            staged.finish()
        build = staged.build if isinstance(staged, StagedParquet) else None
        self._partial.finish(ledger.final(), build)

    def _fail(self, failure: Failure) -> None:
        most = self._run.args.max_errors
        if self._ledger.failed >= most:
            raise LeanBertError(
                f"{failure.row.where}: {failure.reason} (--max-errors {most} allows no more rows "
                "that fail)"
            )
        self._ledger.fail(failure)
        self._progress.failed = self._ledger.failed


def _report(output: Path, partial: Partial) -> None:
    state = partial.state
    if state.failed:
        path = errors_path(output.resolve() if output.is_symlink() else output)
        complain(
            f"{state.failed:,} of {counted(state.rows, 'row')} failed; {path} has them with the "
            "reasons"
        )


def _identity(
    run: Run, form: str | None, known: tuple[str, ...] | None, *, gzipped: bool
) -> dict[str, Any]:
    """What the answers and the file follow from, by the words that messages use."""
    given = {
        flag_of(name): value
        for name, value in vars(run.args).items()
        if name not in _ELSEWHERE and value is not None and value is not False
    }
    return {
        "LeanBERT": __version__,
        "the model": _content_of(run.model.bundle),
        "the engine": run.model.engine_report.engine,
        "the task": run.model.task,
        "flags": given,
        "the form": f"{form}{' in gzip' if gzipped else ''}",
        "--columns": None if run.args.columns is None else ",".join(run.args.columns),
        "the columns": None if known is None else ", ".join(known),
    }


def _content_of(bundle: Bundle) -> str:
    """A hash of all that a bundle is."""
    if bundle.manifest is not None:  # it lists the hashes of all files, and they were checked
        return hashlib.sha256((bundle.path / MANIFEST).read_bytes()).hexdigest()[:16]
    from leanbert.bundle.foreign import external_data

    found = hashlib.sha256()
    for path in (
        *external_data(bundle.model_path), bundle.tokenizer_path, bundle.path / "config.json",
    ):  # fmt: skip
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()[:16]
