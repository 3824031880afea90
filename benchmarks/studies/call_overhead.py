"""What a call costs beyond the engine and the tokenizer: one headline, two source trees, by turns.

Each tree runs in a process of its own, with the embedded model, and works only while the other one
waits. A turn calls the pipeline with one headline of 30 tokens many times, and answers many
headlines in throughput mode once. Timed are the whole call, the native library's ``lb_run`` and
``lb_scores``, and its ``lb_tokenize`` or the calls into the tokenizers library; what remains is
LeanBERT's own Python.

examples:
  git worktree add ../before 396b7a9   # and build, or copy, its native library
  python -m studies.call_overhead --before ../before
  python -m studies.call_overhead --before ../before --input headlines.txt --turns 21 --json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from leanbert.cpu import cpu_name
from leanbert.errors import LeanBertError
from leanbert.records import ReadOptions, read_rows
from leanbert_bench.run.workload import bundled_workload
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import new_parser, one_line_errors
from studies.source_trees import SOURCES_FIRST, python_path

HEADLINE = (
    "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn a year earlier, as sales grew by 9%."
)
TOKENS = 30
PARTS = ("call", "engine", "tokenizer", "remainder")
"""What is timed of a call, in milliseconds; the last is the first less the two between."""

_ROOT = Path(__file__).parents[2]
_SEED = 4

# Runs once for each tree, whose sources PYTHONPATH names. It knows nothing of either tree but the
# library's functions lb_run, lb_scores and lb_tokenize, the tokenizers library and `pipeline`, and
# times all but the last from outside: one object in the place of each.
_CHILD = """
import ctypes, json, sys
from statistics import median
from time import perf_counter

tree, threads = sys.argv[1], int(sys.argv[2]) or None
spent = {"engine": 0.0, "tokenizer": 0.0}

class Timed:
    def __init__(self, function, part):
        self.__dict__.update(function=function, part=part)
    def __setattr__(self, name, value):
        setattr(self.function, name, value)
    def __call__(self, *args, **kwargs):
        start = perf_counter()
        found = self.function(*args, **kwargs)
        spent[self.part] += perf_counter() - start
        return found

class Library(ctypes.CDLL):
    def __getattr__(self, name):
        found = super().__getattr__(name)
        if name in ("lb_run", "lb_scores", "lb_tokenize"):
            found = Timed(found, "tokenizer" if name == "lb_tokenize" else "engine")
            setattr(self, name, found)
        return found

ctypes.CDLL = Library
import tokenizers
Original = tokenizers.Tokenizer

class Tokenizer:
    def __init__(self, inner):
        self.inner = inner
        for name in ("encode", "encode_batch", "encode_batch_fast"):
            setattr(self, name, Timed(getattr(inner, name), "tokenizer"))
    def __getattr__(self, name):
        return getattr(self.inner, name)

for name in ("from_file", "from_str", "from_buffer"):
    make = getattr(Original, name)
    setattr(Tokenizer, name, staticmethod(lambda *args, make=make: Tokenizer(make(*args))))
tokenizers.Tokenizer = Tokenizer
import leanbert
if not leanbert.__file__.startswith(tree):
    sys.exit(f"{leanbert.__file__} was imported in place of {tree}")
classify = leanbert.pipeline("text-classification", engine="native", threads=threads)
fast = leanbert.pipeline(
    "text-classification", engine="native", threads=threads, mode="throughput"
)
for line in sys.stdin:
    asked = json.loads(line)
    if "texts" in asked:
        texts = asked["texts"]
        start = perf_counter()
        fast(texts)
        answer = {"texts_per_second": len(texts) / (perf_counter() - start)}
    else:
        found = {"call": [], "engine": [], "tokenizer": [], "remainder": []}
        for _ in range(asked["calls"]):
            spent.update(engine=0.0, tokenizer=0.0)
            start = perf_counter()
            classify(asked["text"])
            whole = perf_counter() - start
            found["call"].append(whole)
            for part in spent:
                found[part].append(spent[part])
            found["remainder"].append(whole - spent["engine"] - spent["tokenizer"])
        answer = {part: 1e3 * median(values) for part, values in found.items()}
    print(json.dumps(answer), flush=True)
"""


class TreeError(LeanBertError):
    """A tree cannot be measured; the message is one line."""


@dataclass
class Side:
    """What one tree showed, a value per turn."""

    name: str
    tree: str
    parts_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PARTS})
    texts_per_second: list[float] = field(default_factory=list)


class Process:
    """The process of one tree; a context manager that always ends it.

    Args:
        tree: the root of a checkout, with the native library in its place.
        threads: cores that one call computes on; 0 for all that the process may use.

    Raises:
        InputError: it is no such root.
    """

    def __init__(self, tree: Path, threads: int) -> None:
        self._tree = tree.resolve()
        self._process = subprocess.Popen(
            [sys.executable, "-c", SOURCES_FIRST + _CHILD, str(self._tree), str(threads)],
            env=os.environ | {"PYTHONPATH": python_path(self._tree, "runtime", "models")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was written to a process that had ended
                if pipe is not None:
                    pipe.close()

    def ask(self, **message: object) -> dict[str, float]:
        """Let it do one thing, and wait for the figures.

        Raises:
            TreeError: the process ended; what it said went to stderr.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise TreeError("no pipes")
        with suppress(BrokenPipeError):  # there is no answer then
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise TreeError(f"{self._tree}: its process ended")
        found: dict[str, float] = json.loads(line)
        return found


def measure(
    trees: Sequence[tuple[str, Path]],
    texts: Sequence[str],
    *,
    turns: int,
    calls: int,
    threads: int = 0,
) -> list[Side]:
    """Let the trees take turns; the first turn warms up and is left out.

    Args:
        trees: the name and the root of each.
        texts: answered in throughput mode, once per turn.
        turns: how many are kept.
        calls: of one headline, in each turn.
        threads: see :class:`Process`.

    Raises:
        TreeError: a tree cannot be measured.
    """
    sides = [Side(name, str(tree)) for name, tree in trees]
    processes: list[Process] = []
    try:
        processes += [Process(tree, threads) for _, tree in trees]
        for turn in range(turns + 1):
            order = list(zip(sides, processes, strict=True))
            for side, process in order if turn % 2 else reversed(order):
                parts = process.ask(text=HEADLINE, calls=calls)
                rate = process.ask(texts=list(texts))["texts_per_second"]
                if turn:
                    side.texts_per_second.append(rate)
                    for name in PARTS:
                        side.parts_ms[name].append(parts[name])
    finally:
        for process in processes:
            process.__exit__()
    return sides


def table(before: Side, after: Side) -> str:
    """The medians of both sides over the turns, and their ratio turn by turn with its interval."""
    rates = before.texts_per_second, after.texts_per_second
    rows: list[tuple[str, ...]] = [
        ("", before.name, after.name, "ratio (95% interval)"),
        *(
            (f"{name}, ms", *_medians(before.parts_ms[name], after.parts_ms[name], 4))
            for name in PARTS
        ),
        ("texts per second", *_medians(*rates, 0)),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, 3) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _medians(before: Sequence[float], after: Sequence[float], digits: int) -> tuple[str, ...]:
    ratio = paired_ratio(after, before)
    return (
        f"{median(before):.{digits}f}",
        f"{median(after):.{digits}f}",
        f"{ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
    )


def read_texts(path: Path | None, number: int, options: ReadOptions | None = None) -> list[str]:
    """``number`` texts in a seeded order: those of a file, or LeanBERT's sample headlines.

    Raises:
        InputError: the file cannot be read.
        TreeError: the file has no text.
    """
    if path is None:
        lines = list(bundled_workload().texts)
    else:
        lines = [text for row in read_rows(path, options) if (text := row.text("text")).strip()]
    if not lines:
        raise TreeError(f"{path}: has no text")
    texts = (lines * -(-number // len(lines)))[:number]
    random.Random(_SEED).shuffle(texts)  # noqa: S311 - a seeded order, not a secret
    return texts


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "--before", type=Path, required=True, metavar="DIR", help="a checkout of the earlier tree"
    )
    parser.add_argument(
        "--after", type=Path, default=_ROOT, metavar="DIR", help="the later one (default: this)"
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="texts in bulk, one per line")
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help="of the file (utf-8)")
    parser.add_argument("--delimiter", metavar="C", help="between a line's text and its label")
    parser.add_argument("--texts", type=int, default=2000, metavar="N", help="in bulk (2000)")
    parser.add_argument("--calls", type=int, default=500, metavar="N", help="per turn (500)")
    parser.add_argument("--turns", type=int, default=11, metavar="N", help="per tree (11)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="default: all cores")
    parser.add_argument("--json", action="store_true", help="every turn's figures, as JSON")
    args = parser.parse_args(words)
    if min(args.texts, args.calls, args.turns) < 1 or args.threads < 0:
        parser.error("numbers must be from 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Measure both trees and print what each part of a call takes."""
    args = parse(words)
    return one_line_errors("call_overhead", lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Measure, and print the table or JSON.

    Raises:
        TreeError: a tree cannot be measured.
    """
    options = ReadOptions(encoding=args.encoding, delimiter=args.delimiter)
    texts = read_texts(args.input, args.texts, options)
    before, after = measure(
        [("before", args.before), ("after", args.after)],
        texts,
        turns=args.turns,
        calls=args.calls,
        threads=args.threads,
    )
    if args.json:
        content: dict[str, Any] = {"cpu": cpu_name(), "headline": HEADLINE, "tokens": TOKENS}
        print(json.dumps(content | {side.name: asdict(side) for side in (before, after)}))
        return 0
    print(f"one headline of {TOKENS} tokens, {args.calls} calls per turn, {args.turns} turns;")
    print(f"bulk: {args.texts} texts in throughput mode; {cpu_name()}")
    print(table(before, after))
    return 0


if __name__ == "__main__":
    sys.exit(main())
