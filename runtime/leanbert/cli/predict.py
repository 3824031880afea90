"""Classify or embed texts: from the arguments, a file, or stdin (one text a line).

On a terminal the answers are a table; into a pipe or file, tab-separated lines (label, score,
text). With --json, or for embeddings, one JSON object a line.

examples:
  leanbert predict "Operating profit rose to EUR 13.1 mn." "Sales fell."
  cat headlines.txt | leanbert predict | cut -f1 | sort | uniq -c
  leanbert predict --input news.jsonl --text-column headline --top-k all --json
  leanbert predict --task feature-extraction --model minilm --pooling mean "a text"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import tee
from pathlib import Path
from typing import Any, TextIO

from leanbert.cli.progress import Progress
from leanbert.cli.reading import Record, count_lines, read_records
from leanbert.errors import InputError
from leanbert.files import whole_file

_COLOURS = {"positive": "32", "negative": "31"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert predict``."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to answer")
    parser.add_argument(
        "-m", "--model", metavar="DIR", help="bundle (default: the embedded sentiment model)"
    )
    parser.add_argument("--task", help="default: what the bundle was exported for")
    parser.add_argument("-i", "--input", type=Path, metavar="FILE", help=".txt or .jsonl; - stdin")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: stdout")
    parser.add_argument("--encoding", default="utf-8", help="of the input (default: utf-8)")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="key in .jsonl")
    parser.add_argument("--text-pair-column", metavar="NAME", help="key of the pair in .jsonl")
    parser.add_argument("--top-k", metavar="N", help="labels a text, or 'all'")
    parser.add_argument("--function-to-apply", choices=("softmax", "sigmoid", "none"))
    parser.add_argument("--pooling", choices=("mean", "cls", "none"), help="default: mean")
    parser.add_argument("--normalize", action="store_true", help="embeddings of length 1")
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
    shape.add_argument("--table", action="store_true", help="the table, into a pipe too")


def run(args: argparse.Namespace) -> int:
    """Answer every text."""
    if args.texts and args.input:
        raise InputError("give texts or --input, not both")
    if args.output is not None and args.output.is_dir():
        raise InputError(f"{args.output}: is a directory; -o names the file to write")
    if args.output is None and sys.stdout is None:
        raise InputError("stdout is closed; name a file with -o")
    if not args.texts and args.input is None and sys.stdin is not None and sys.stdin.isatty():
        raise InputError("no texts: give them as arguments, with --input, or on stdin (see --help)")
    options = _call_options(args)

    from leanbert.pipelines import pipeline

    mode = args.mode or ("latency" if args.texts else "throughput")
    answerer = pipeline(args.task, args.model, mode=mode, threads=args.threads, engine=args.engine)
    embeds = answerer.task == "feature-extraction"
    options = {name: value for name, value in options.items() if name in _allowed(embeds)}
    if embeds:
        options.setdefault("pooling", "mean")

    records, copies = tee(
        read_records(
            args.texts,
            args.input,
            encoding=args.encoding,
            text_column=args.text_column,
            text_pair_column=args.text_pair_column,
        )
    )
    answers = answerer.stream((record.model_input for record in records), **options)
    with (
        _output(args.output) as out,
        Progress(len(args.texts) or None, "texts", beside=out) as progress,
    ):
        if progress.shown and not args.texts:  # who sees no bar does not wait for its length
            progress.total = count_lines(args.input)
        as_table = args.table or out.isatty()
        if embeds or args.json:
            write = _json_line
        else:
            labels = answerer.bundle.config.id2label.values()
            colour = out.isatty() and "NO_COLOR" not in os.environ
            width = max(map(len, labels), default=0)
            write = _Table(width, colour=colour) if as_table else _tsv_line
        for record, answer in zip(copies, answers, strict=True):
            out.write(write(record, answer))
            progress.advance()
    return 0


def _call_options(args: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if args.top_k is not None:
        if args.top_k != "all" and not (args.top_k.isdigit() and int(args.top_k) > 0):
            raise InputError(f"--top-k is {args.top_k!r}; give a number from 1, or all")
        options["top_k"] = None if args.top_k == "all" else int(args.top_k)
    if args.pooling:
        options["pooling"] = None if args.pooling == "none" else args.pooling
    for name in ("function_to_apply", "max_length", "truncation"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    if args.normalize:
        options["normalize"] = True
    return options


def _allowed(embeds: bool) -> set[str]:
    own = {"pooling", "normalize"} if embeds else {"top_k", "function_to_apply"}
    return own | {"max_length", "truncation"}


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


def _json_line(record: Record, answer: Any) -> str:
    row = dict(record.row) or {"text": record.text}
    if isinstance(answer, dict):
        found = answer
    elif answer and isinstance(answer[0], dict):
        found = {"scores": {item["label"]: item["score"] for item in answer}}
    else:
        found = {"embedding": answer}
    for name, value in found.items():  # a true label in the input stays what it is
        row[f"predicted_{name}" if name in record.row else name] = value
    return json.dumps(row, ensure_ascii=False) + "\n"


def _listed(answer: Any) -> list[dict[str, Any]]:
    return answer if isinstance(answer, list) else [answer]


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _tsv_line(record: Record, answer: Any) -> str:
    scores = [f"{item['label']}\t{item['score']:.4f}" for item in _listed(answer)]
    return "\t".join([*scores, _one_line(record.text)]) + "\n"


class _Table:
    """Aligned rows with a coloured label and a small bar, for people."""

    def __init__(self, label_width: int, *, colour: bool) -> None:
        self._width = label_width
        self._colour = colour

    def __call__(self, record: Record, answer: Any) -> str:
        cells = []
        for item in _listed(answer):
            label = f"{item['label']:<{self._width}}"
            code = _COLOURS.get(str(item["label"]).lower())
            if code and self._colour:
                label = f"\x1b[{code}m{label}\x1b[0m"
            filled = round(8 * min(1.0, max(0.0, item["score"])))
            cells.append(f"{label}  {item['score']:5.3f} {'▰' * filled}{'▱' * (8 - filled)}")
        return "  ".join([*cells, record.text.replace("\n", " ")]) + "\n"
