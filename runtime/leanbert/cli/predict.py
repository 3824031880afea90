"""Answer texts, rows of a file or lines of stdin: a table on a terminal, else tab-separated.

examples:
  leanbert predict "Operating profit rose to EUR 13.1 mn." "Sales fell."
  leanbert predict -i news.csv --text-column headline -o answers.csv
  leanbert predict -i report.txt --split sentences --html report.html
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from leanbert.arguments import MODES, TRUNCATIONS
from leanbert.cli.flags import add_bundle_flag, add_engine_flags, add_reading_flags, whole
from leanbert.cli.inputs import argument_records
from leanbert.cli.options import add_task_flags, model_input, ranking_of
from leanbert.errors import InputError

_FORMS = ("json", "csv", "table")
_OF_FILES = {
    "text_column": "text", "text_pair_column": None, "input_format": None, "encoding": "utf-8",
    "delimiter": None, "no_quotes": False, "max_errors": None, "resume": True, "force": False,
}  # fmt: skip
"""What means nothing where texts are arguments, with the value that it has if nobody gives it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert predict``."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help=argparse.SUPPRESS)
    group = parser.add_argument_group("model")
    add_bundle_flag(group)
    group.add_argument("--task", metavar="TASK", help="default: what the bundle was exported for")
    add_engine_flags(group)
    group.add_argument("--max-memory-mb", type=whole, metavar="N", help="a ceiling of memory, MiB")
    group.add_argument(
        "--mode", choices=MODES, metavar="NAME", help="latency for few texts, throughput for many"
    )
    group = parser.add_argument_group("input")
    group.add_argument(
        "-i", "--input", type=Path, nargs="+", action="extend", metavar="FILE",
        help="files, patterns, folders; - is stdin",
    )  # fmt: skip
    add_reading_flags(group)
    group.add_argument("--max-length", type=whole, metavar="N", help="cut texts to N tokens")
    group.add_argument(
        "--truncation",
        choices=tuple(TRUNCATIONS),
        metavar="HOW",
        help="longest_first cuts, do_not_truncate stops",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="FILE",
        help="or FOLDER/, for one of each input (default: stdout)",
    )  # fmt: skip
    group.add_argument(
        "--columns", type=_columns, metavar="A,B", help="of the input, to write (default: all)"
    )
    group.add_argument("--max-errors", type=_most, metavar="N", help=argparse.SUPPRESS)
    resuming = group.add_mutually_exclusive_group()
    resuming.add_argument("--resume", action="store_true", default=True, help=argparse.SUPPRESS)
    resuming.add_argument(
        "--no-resume", action="store_false", dest="resume", help=argparse.SUPPRESS
    )
    group.add_argument("--force", action="store_true", help=argparse.SUPPRESS)
    group.add_argument("--verbose", action="store_true", help=argparse.SUPPRESS)
    forms = group.add_mutually_exclusive_group()
    for form in _FORMS:
        forms.add_argument(
            f"--{form}", action="store_const", const=form, dest="form", help=argparse.SUPPRESS
        )
    forms.add_argument("--html", metavar="FILE", help=argparse.SUPPRESS)
    group.description = (
        "--json, --csv, --table, --html FILE (a page to look at), "
        "--max-errors N (rows that fail go to FILE.errors.jsonl), --resume (the default), "
        "--no-resume, --force (replace another run's partial file), "
        "--verbose (how fast)"
    )
    add_task_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Answer every text; 0, or 3 where rows of files failed."""
    context = [] if args.context is None else [args.context]
    args.texts = [*args.texts, *context, *(args.document or [])]
    if args.html is not None:
        if args.output is not None:
            raise InputError("name the page with --html or with -o, not with both")
        args.output, args.form = args.html, "html"
    if args.output == "-":
        args.output = None
    if args.texts and args.input:
        raise InputError("give texts or --input, not both")
    if args.texts:
        return _run_texts(args)
    if args.input is None and sys.stdin is not None and sys.stdin.isatty():
        raise InputError("no texts: give them as arguments, with --input, or on stdin (see --help)")
    from leanbert.cli.bulk import run_files  # late: texts of the command line do without files

    return run_files(args)


def _run_texts(args: argparse.Namespace) -> int:
    """Answer the arguments."""
    from leanbert.cli.inputs import Entry
    from leanbert.cli.outputs import check_columns, check_output, output_form
    from leanbert.cli.running import Run, write_stream

    output = None if args.output is None else Path(args.output)
    for name, default in _OF_FILES.items():
        if getattr(args, name) != default:
            flag = "no-resume" if name == "resume" else name.replace("_", "-")
            raise InputError(f"--{flag} is for the rows of files (--input)")
    check_output(output)
    run = Run.of(args, "latency")
    model = run.model
    records = list(argument_records(args.texts))
    if args.query is not None:
        entries, known = [ranking_of(args.query, args.texts)], ("query",)
    else:
        entries = [Entry(record, model_input(args, model.task, record)) for record in records]
        known = ("text",)
    form = output_form(output, args.form, model.task)
    check_columns(form, args.columns)
    write_stream(run, output, form, entries, None, known, len(entries))
    run.report()
    return 0


def _columns(given: str) -> list[str]:
    names = [part.strip() for part in given.split(",") if part.strip()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise argparse.ArgumentTypeError(f"{twice!r} is named twice")
    return names


def _most(given: str) -> int:
    if not given.isdecimal():
        raise argparse.ArgumentTypeError(f"{given!r} is no number of rows; give one from 0 on")
    return int(given)
