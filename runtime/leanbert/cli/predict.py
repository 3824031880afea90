"""Answer texts, rows of a file or lines of stdin: a table on a terminal, else tab-separated.

examples:
  leanbert predict "Operating profit rose to EUR 13.1 mn." "Sales fell."
  leanbert predict -i news.csv --text-column headline -o answers.csv
  leanbert predict -i report.txt --split sentences -o predictions.csv
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import tee
from pathlib import Path
from typing import Any

from leanbert.cli.answers import answers_of
from leanbert.cli.flags import (
    add_bundle_flag,
    add_engine_flags,
    add_reading_flags,
    bundle_of,
    choice_of,
    read_options,
)
from leanbert.cli.inputs import Record, argument_records, table_records
from leanbert.cli.options import add_task_flags, call_options, model_inputs
from leanbert.cli.outputs import check_output, make_writer, open_output, output_form
from leanbert.cli.progress import Progress
from leanbert.cli.writing import Columns
from leanbert.errors import InputError
from leanbert.records import ReadOptions, Table, open_table, survey

_FORMS = ("json", "csv", "table")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert predict``."""
    from leanbert.batching import MODES  # late: help of other commands does not wait for numpy
    from leanbert.tokenization.cutting import TRUNCATIONS

    parser.add_argument("texts", nargs="*", metavar="TEXT", help=argparse.SUPPRESS)
    group = parser.add_argument_group("model")
    add_bundle_flag(group)
    group.add_argument("--task", metavar="TASK", help="default: what the bundle was exported for")
    add_engine_flags(group)
    group.add_argument(
        "--mode", choices=MODES, metavar="NAME", help="latency for few texts, throughput for many"
    )
    group = parser.add_argument_group("input")
    group.add_argument("-i", "--input", type=Path, metavar="FILE", help="the texts; - is stdin")
    add_reading_flags(group)
    group.add_argument("--max-length", type=int, metavar="N", help="cut texts to N tokens")
    group.add_argument(
        "--truncation",
        choices=tuple(TRUNCATIONS),
        metavar="HOW",
        help="longest_first cuts, do_not_truncate stops",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="its ending says the form (default: stdout)",
    )
    forms = group.add_mutually_exclusive_group()
    for form in _FORMS:
        forms.add_argument(
            f"--{form}", action="store_const", const=form, dest="form", help=argparse.SUPPRESS
        )
    group.description = "--json, --csv, --table      JSON lines, CSV, the table of terminals"
    add_task_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Answer every text, and return 0."""
    context = [] if args.context is None else [args.context]
    args.texts = [*args.texts, *context, *(args.document or [])]
    _check(args)
    reading = read_options(args, whole=args.split is not None)
    with nullcontext() if args.texts else open_table(args.input, reading) as table:
        from leanbert.pipelines import pipeline

        mode = args.mode or ("latency" if args.texts else "throughput")
        model = pipeline(
            args.task,
            bundle_of(args),
            mode=mode,
            threads=args.threads,
            engine=args.engine,
            **choice_of(args),
        )
        options = call_options(args, model.task, pools=getattr(model, "modules", None) is not None)
        asked, shown = tee(model_inputs(args, model.task, _records(args, table)))
        inputs = (given for _, given in asked)
        if args.split is None:
            answers = model.stream(inputs, **options)
        else:
            answers = model.document(inputs, split=args.split, **options)
        answered = zip((record for record, _ in shown), answers, strict=True)
        _write(args, reading, table, model, options, answered)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.texts and args.input:
        raise InputError("give texts or --input, not both")
    check_output(args.output)
    if not args.texts and args.input is None and sys.stdin is not None and sys.stdin.isatty():
        raise InputError("no texts: give them as arguments, with --input, or on stdin (see --help)")


def _records(args: argparse.Namespace, table: Table | None) -> Iterator[Record]:
    if table is None:
        return argument_records(args.texts)
    return table_records(
        table, text_column=args.text_column, text_pair_column=args.text_pair_column
    )


def _write(
    args: argparse.Namespace,
    reading: ReadOptions,
    table: Table | None,
    model: Any,
    options: dict[str, Any],
    answered: Iterator[tuple[Record, Any]],
) -> None:
    """Write each input with its answer."""
    form = output_form(args.output, args.form, model.task)
    with (
        open_output(args.output, form) as out,
        Progress(None, "texts", beside=out) as progress,
    ):
        show = answers_of(
            model.task,
            model.labels,
            options,
            split=args.split,
            query=args.query is not None,
            colour=out.isatty() and "NO_COLOR" not in os.environ,
        )
        keyed = form in {"csv", "json", "parquet"}
        known, progress.total = _known(args, reading, table, keyed=keyed, counted=progress.shown)
        # finBERT's file has one document; where there may be several, a number tells them apart.
        several = len(args.texts) > 1 if table is None else not table.lines
        parted = None
        if args.split is not None:
            parted = "text" if table is None or table.lines else args.text_column
        columns = Columns(show, known, numbered=args.split is not None and several, parted=parted)
        schema = None if table is None else table.schema
        with make_writer(
            form, out, args.output, show, columns, known=known or (), schema=schema
        ) as writer:
            for record, answer in answered:
                writer.write(record, answer)
                progress.advance()


def _known(
    args: argparse.Namespace,
    reading: ReadOptions,
    table: Table | None,
    *,
    keyed: bool,
    counted: bool,
) -> tuple[tuple[str, ...] | None, int | None]:
    """The columns and the number of the inputs, as far as they can be known beforehand."""
    if args.query is not None:
        return ("query",), 1
    if table is None:
        return ("text",), len(args.texts)
    if not counted and (table.columns is not None or not keyed):
        return table.columns, None
    found = survey(args.input, reading)
    return (table.columns, None) if found is None else (found.columns, found.rows)
