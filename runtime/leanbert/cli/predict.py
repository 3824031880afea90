"""Answer texts with a bundle: from the arguments, a file, or stdin (one text a line).

On a terminal the answers are a table; into a pipe or file, tab-separated lines: for
classification label, score, text. With --json, for embeddings, and into a .jsonl file, one JSON
object a line; with --csv and into a .csv file, CSV with a header.

examples:
  leanbert predict "Operating profit rose to EUR 13.1 mn." "Sales fell."
  cat headlines.txt | leanbert predict | cut -f1 | sort | uniq -c
  leanbert predict --input news.csv --text-column headline --top-k all -o answers.csv
  leanbert predict --split sentences --input report.txt -o predictions.csv
  leanbert predict -m ner "Nokia cut jobs in Espoo."
  leanbert predict -m answers --question "Who cut jobs?" --context "Nokia cut jobs in Espoo."
  leanbert predict -m bert "Sales [MASK] in the third quarter." --top-k 3 --targets rose,fell
  leanbert predict -m nli --task zero-shot-classification --candidate-labels bonds,oil "OPEC met."
  leanbert predict -m reranker --task text-ranking --query "rate cut" --input documents.txt
  leanbert predict -m minilm --pooling mean "a text"
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import tee
from pathlib import Path
from typing import Any, TextIO

from leanbert.cli.answers import Answers, answers_of
from leanbert.cli.flags import add_reading_flags, read_options
from leanbert.cli.inputs import Record, argument_records, table_records
from leanbert.cli.options import add_task_arguments, call_options, model_inputs
from leanbert.cli.progress import Progress
from leanbert.errors import InputError
from leanbert.files import whole_file
from leanbert.records import SUFFIXES, open_table, survey

_Write = Callable[[Record, Any], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert predict``."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to answer")
    parser.add_argument(
        "-m", "--model", metavar="DIR", help="bundle (default: the embedded sentiment model)"
    )
    parser.add_argument("--task", help="default: what the bundle was exported for")
    parser.add_argument(
        "-i", "--input", type=Path, metavar="FILE", help=".txt, .csv, .jsonl or .parquet; - stdin"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="default: stdout; .csv and .jsonl say the form",
    )
    add_reading_flags(parser, labels=False)
    parser.add_argument("--max-length", type=int, metavar="N", help="cut texts to N tokens")
    parser.add_argument(
        "--truncation",
        choices=("longest_first", "do_not_truncate"),
        help="cut long texts silently, or stop at them (default: cut with a warning)",
    )
    parser.add_argument(
        "--mode",
        choices=("latency", "throughput"),
        help="all cores on one batch, or a batch on each "
        "(default: latency for texts given as arguments, else throughput)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: all allowed cores")
    parser.add_argument(
        "--engine",
        choices=("auto", "native", "onnxruntime"),
        default="auto",
        help="who computes (default: native wherever it can, else onnxruntime)",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line")
    shape.add_argument("--csv", action="store_true", help="CSV with a header")
    shape.add_argument("--table", action="store_true", help="the table, into a pipe too")
    add_task_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Answer every text."""
    context = [] if args.context is None else [args.context]
    args.texts = [*args.texts, *context, *(args.document or [])]
    _check(args)

    from leanbert.pipelines import pipeline

    mode = args.mode or ("latency" if args.texts else "throughput")
    answerer = pipeline(args.task, args.model, mode=mode, threads=args.threads, engine=args.engine)
    task = answerer.task
    options = call_options(args, task)
    records = _records(args)
    asked, copies = tee(model_inputs(args, task, records))
    inputs = (given for _, given in asked)
    if args.split is None:
        answers = answerer.stream(inputs, **options)
    else:
        answers = answerer.document(inputs, split=args.split, **options)
    with (
        _output(args.output) as out,
        Progress(len(args.texts) or None, "texts", beside=out) as progress,
    ):
        if progress.shown and not args.texts:  # who sees no bar does not wait for its length
            found = survey(args.input, read_options(args, whole=args.split is not None))
            progress.total = found.rows if found else None
        show = answers_of(
            task,
            answerer.labels,
            options,
            split=args.split,
            query=args.query is not None,
            colour=out.isatty() and "NO_COLOR" not in os.environ,
        )
        write = _writer(args, task, show, out)
        for (record, _), answer in zip(copies, answers, strict=True):
            write(record, answer)
            progress.advance()
    return 0


def _records(args: argparse.Namespace) -> Iterator[Record]:
    if args.texts:
        yield from argument_records(args.texts)
        return
    with open_table(args.input, read_options(args, whole=args.split is not None)) as table:
        yield from table_records(
            table, text_column=args.text_column, text_pair_column=args.text_pair_column
        )


def _check(args: argparse.Namespace) -> None:
    if args.texts and args.input:
        raise InputError("give texts or --input, not both")
    if args.output is not None and args.output.is_dir():
        raise InputError(f"{args.output}: is a directory; -o names the file to write")
    if args.output is None and sys.stdout is None:
        raise InputError("stdout is closed; name a file with -o")
    if not args.texts and args.input is None and sys.stdin is not None and sys.stdin.isatty():
        raise InputError("no texts: give them as arguments, with --input, or on stdin (see --help)")


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears whole or not at all."""
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        yield sys.stdout
        return
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such directory")
    with whole_file(path, errors="replace") as file:
        yield file


def _writer(args: argparse.Namespace, task: str, show: Answers, out: TextIO) -> _Write:
    """What writes an answer in the form that was asked for, or that the output's name says."""
    plain = not (args.table or args.json or args.csv)
    suffix = args.output.suffix.lower() if args.output is not None and plain else ""
    if args.csv or suffix == ".csv":
        # finBERT's file has one document; where there may be several, their numbers tell them.
        rows = args.input is not None and SUFFIXES.get(args.input.suffix.lower()) != "txt"
        several = args.split is not None and (rows or len(args.texts) > 1)
        return _csv_writer(show, out, numbered=several, alone=args.split is not None)
    if args.json or suffix == ".jsonl" or (plain and task == "feature-extraction"):
        return lambda record, answer: _write_json(show, out, record, answer)
    if args.table or (plain and out.isatty()):
        return lambda record, answer: _written(out.write(show.shown(record, answer)))
    return lambda record, answer: out.writelines(
        "\t".join(cells) + "\n" for cells in show.cells(record, answer)
    )


def _written(_: int) -> None:
    """``write`` tells how much; nobody asked."""


def _write_json(show: Answers, out: TextIO, record: Record, answer: Any) -> None:
    row = _own(record)
    for name, value in show.fields(answer).items():  # a true label in the input stays what it is
        row[f"predicted_{name}" if name in record.row.values else name] = value
    out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _own(record: Record) -> dict[str, Any]:
    """What the input itself says."""
    return dict(record.row.values)


def _csv_writer(show: Answers, out: TextIO, *, numbered: bool, alone: bool) -> _Write:
    """CSV: the input's own columns and the answer's; ``alone`` for the answer's only."""
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    count = 0

    def write(record: Record, answer: Any) -> None:
        nonlocal count
        own = {} if alone else _own(record)
        if numbered:
            own = {"document": count}
        if not header:
            header.extend([*own])
            writer.writerow([*own, *(f"predicted_{c}" if c in own else c for c in show.columns)])
        before = [_cell(own.get(name)) for name in header]
        for row in show.rows(answer):
            writer.writerow([*before, *(_cell(row.get(name)) for name in show.columns)])
        count += 1

    return write


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
