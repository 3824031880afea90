"""One output of ``leanbert predict``: its inputs are read, answered and written as they come."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leanbert.cli.answering import Answered, answered
from leanbert.cli.answers import Answers, answers_of
from leanbert.cli.flags import bundle_of, choice_of
from leanbert.cli.inputs import Entry, Failure
from leanbert.cli.options import call_options, model_input
from leanbert.cli.outputs import KEYED, make_writer, open_output
from leanbert.cli.progress import Progress
from leanbert.cli.streams import complain
from leanbert.cli.writing import Columns
from leanbert.errors import InputError
from leanbert.shown import listed

if TYPE_CHECKING:
    from leanbert.cli.file_inputs import FileInputs  # texts of the command line do without
    from leanbert.cli.tally import Tally

__all__ = ["Run", "write_stream"]


class Run(NamedTuple):
    """What all outputs of a command share."""

    args: argparse.Namespace
    model: Any
    options: Mapping[str, Any]
    """Of the pipeline's call."""
    tally: Tally | None
    """What counts the answers under ``--verbose``."""

    @classmethod
    def of(cls, args: argparse.Namespace, mode: str) -> Run:
        """Open the model that the command line names.

        Args:
            args: the parsed command line.
            mode: of the pipeline, where no flag says it.

        Raises:
            InputError: a flag makes no sense, or is another task's.
            LeanBertError: the bundle cannot be used.
        """
        from leanbert.pipelines import pipeline

        chosen: dict[str, Any] = dict(choice_of(args))
        if args.output_name is not None:
            chosen["output_name"] = args.output_name
        model = pipeline(
            args.task,
            bundle_of(args),
            mode=args.mode or mode,
            threads=args.threads,
            engine=args.engine,
            max_memory_mb=args.max_memory_mb,
            **chosen,
        )
        pools = getattr(model, "modules", None) is not None
        tally = None
        if args.verbose:
            from leanbert.cli.tally import Tally  # late: few ask for it

            tally = Tally()
        return cls(args, model, call_options(args, model.task, pools=pools), tally)

    def report(self) -> None:
        """Say on stderr what computed and how fast, where ``--verbose`` asks for it."""
        if self.tally is not None:
            complain(self.tally.line(self.model))

    def answered(
        self, entries: Iterable[Entry | Failure], *, live: bool = False, **how: Any
    ) -> Iterator[Answered | Failure]:
        """The answers to entries, and failures, in order.

        Args:
            entries: drawn lazily.
            live: see :meth:`stream`.
            how: see :func:`leanbert.cli.answering.answered`.
        """
        found = answered(entries, partial(self.stream, live=live), **how)
        return found if self.tally is None else self.tally.counting(found)

    def stream(self, inputs: Iterable[Any], *, live: bool = False) -> Iterator[Any]:
        """The answers to inputs, lazily and in order.

        Args:
            inputs: as the pipeline takes them.
            live: whether the first are answered before the last are drawn, as for a pipe.
        """
        options = dict(self.options)
        if not live:
            yield from self._answers(inputs, {**options, "max_wait_ms": None})
            return
        from leanbert.batching.drawing import DrawnAhead

        drawn = DrawnAhead(inputs)
        try:
            yield from self._answers(drawn, options)
        finally:
            drawn.close()

    def _answers(self, inputs: Iterable[Any], options: Mapping[str, Any]) -> Iterator[Any]:
        found: Iterator[Any]
        if self.args.explain:
            found = self.model.explain(iter(inputs), split=self.args.split, **options)
        elif self.args.split is None:
            found = self.model.stream(inputs, **options)
        else:
            found = self.model.document(iter(inputs), split=self.args.split, **options)
        return found

    def of_page(self) -> Run:
        """The same with the scores of all labels, which say how positive a text is."""
        if self.model.task != "text-classification" or self.args.split or self.args.explain:
            return self
        return self._replace(options={"top_k": None, **self.options})

    def given(self) -> Callable[[Any], Any]:
        """Makes what the pipeline takes of a record."""
        return partial(model_input, self.args, self.model.task)

    def show(self, *, colour: bool = False) -> Answers:
        """What the answers look like."""
        return answers_of(
            self.model.task,
            self.model.labels,
            self.options,
            split=self.args.split,
            query=self.args.query is not None,
            explained=bool(self.args.explain),
            colour=colour,
        )

    def columns(
        self,
        show: Answers,
        known: tuple[str, ...] | None,
        *,
        numbered: bool,
        parted: str,
    ) -> Columns:
        """The columns of the output.

        Raises:
            InputError: ``--columns`` names one that the input lacks.
        """
        split = self.args.split is not None
        chosen = self.args.columns
        lacking = set(chosen or ()) - set(known or chosen or ())
        if lacking:
            raise InputError(
                f"--columns names {sorted(lacking)[0]!r}, which the input lacks; it has "
                f"{listed(list(map(repr, known or ())), 'and') or 'no columns'}"
            )
        return Columns(
            show, known, numbered=split and numbered, parted=parted if split else None,
            chosen=chosen,
        )  # fmt: skip


def write_stream(
    run: Run,
    output: Path | None,
    form: str | None,
    entries: Iterable[Entry | Failure],
    inputs: FileInputs | None,
    known: tuple[str, ...] | None = None,
    total: int | None = None,
) -> None:
    """Answer inputs into stdout, a pipe, or a file that appears whole or not at all.

    Args:
        run: what all outputs share.
        output: its path; ``None`` is stdout.
        form: of the output.
        entries: the inputs.
        inputs: the files that they come from, if they do.
        known: the columns of the inputs, where no files say them.
        total: how many there are, likewise.

    Raises:
        InputError: an input cannot be used.
    """
    live = inputs is not None and inputs.live
    if form == "html":
        run = run.of_page()
    with (
        open_output(output, form) as out,
        Progress(total, "texts", beside=out) as progress,
    ):
        show = run.show(colour=out.isatty() and "NO_COLOR" not in os.environ)
        if inputs is not None and known is None:
            known, progress.total = inputs.known(keyed=form in KEYED, counted=progress.shown)
        numbered = inputs.numbered if inputs is not None else (total or 0) > 1
        parted = inputs.parted_column if inputs is not None else "text"
        columns = run.columns(show, known, numbered=numbered, parted=parted)
        schema = inputs.schema() if inputs is not None and form == "parquet" else None
        with make_writer(
            form, out, output, show, columns, chosen=run.args.columns, schema=schema,
            given=run.given(),
        ) as writer:  # fmt: skip
            for found in run.answered(entries, live=live):
                if isinstance(found, Failure):
                    raise InputError(f"{found.row.where}: {found.reason}")
                entry, answer = found
                writer.write(entry.record, answer)
                if live:  # whoever reads these answers waits for them
                    out.flush()
                progress.advance()
