"""``leanbert predict`` on files: which are read, where the answers go, and in which order."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from leanbert.cli.file_inputs import FileInputs
from leanbert.cli.flags import read_options
from leanbert.cli.inputs import Entry, Failure, Record
from leanbert.cli.jobs import plan
from leanbert.cli.options import ranking_of
from leanbert.cli.outputs import check_columns, is_resumable, output_form
from leanbert.cli.resuming import write_resumable
from leanbert.cli.running import Run, write_stream
from leanbert.errors import InputError
from leanbert.records import find_files

__all__ = ["SOME_FAILED", "run_files"]

SOME_FAILED = 3
"""The exit code where the work is done but for rows that failed."""

_STDIN = Path("-")


def run_files(args: argparse.Namespace) -> int:
    """Answer the rows of files, pipes and stdin; 0, or :data:`SOME_FAILED`."""
    reading = read_options(args, whole=args.split is not None, bad_rows=args.max_errors is not None)
    found = find_files(args.input or [_STDIN], any_ending=args.input_format is not None)
    jobs = plan(found, args.output, form=args.form, reading=args.input_format)
    resumable = [is_resumable(job.output, args.form) and args.query is None for job in jobs]
    if args.max_errors is not None and not all(resumable):
        raise InputError(
            "--max-errors writes the rows that fail beside the output: name it with -o"
        )
    if not any(resumable) and args.query is None and (args.force or not args.resume):
        flag = "--force" if args.force else "--no-resume"
        raise InputError(f"{flag} is for files that are written in parts: name one with -o")
    with ExitStack() as opened:
        inputs = [
            opened.enter_context(
                FileInputs(
                    job.found,
                    reading,
                    text_column=args.text_column,
                    text_pair_column=args.text_pair_column,
                )
            )
            for job in jobs
        ]
        run = Run.of(args, "throughput")
        forms = [output_form(job.output, args.form, run.model.task) for job in jobs]
        for form in forms:
            check_columns(form, args.columns)
        written = []
        for job, form, source, goes_on in zip(jobs, forms, inputs, resumable, strict=True):
            if goes_on and job.output is not None:
                partial = write_resumable(run, job.output, form, source)
                opened.callback(partial.close)
                written.append(partial)
            else:
                write_stream(run, job.output, form, _entries(run, source), source, *_alone(args))
        for partial in written:  # only now: until here each says that its output is finished
            partial.forget()
    run.report()
    return SOME_FAILED if any(partial.state.failed for partial in written) else 0


def _entries(run: Run, inputs: FileInputs) -> Iterator[Entry | Failure]:
    if run.args.query is None:
        yield from inputs.entries(run.given())
        return
    entries = inputs.entries(_text)
    documents = [entry.given for entry in entries if isinstance(entry, Entry)]
    yield ranking_of(run.args.query, documents)


def _text(record: Record) -> Any:
    return record.text


def _alone(args: argparse.Namespace) -> tuple[tuple[str, ...], int] | tuple[()]:
    """The columns and the number of what ``--query`` makes of all rows."""
    return () if args.query is None else (("query",), 1)
