"""Measure how the resident memory of a pipeline grows with texts of mixed lengths.

Each measurement has a process of its own: it streams the first texts, reads its resident set size
(RSS), streams on up to the last text, and reads it again. The texts are those of leanbert bench
run: 3 to 400 words long, log-uniformly, so that short and long ones meet. Linux only.

examples:
  python -m studies.memory_growth models/leanbert_models/financial_sentiment
  python -m studies.memory_growth my-bundle --mode throughput --engine onnxruntime --json
  python -m studies.memory_growth my-bundle --first 200 --last 2000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from leanbert import pipeline
from leanbert.arguments import MODES
from leanbert.cpu import cpu_name
from leanbert.engines import ENGINES
from leanbert_bench.run.resident import peak_memory, resident_memory
from leanbert_bench.run.workload import mixed_texts
from studies.command_line import new_parser

_CHUNK = 500  # texts that are made at once


class Growth(TypedDict):
    """What one process measured; sizes in MiB."""

    mode: str
    rss_first: float
    """After the first texts."""
    rss_last: float
    """After the last text."""
    peak: float
    ratio: float
    """``rss_last / rss_first``."""


def texts(first: int, last: int) -> Iterator[str]:
    """Yield the texts from number ``first`` to ``last`` of the series, a few at a time."""
    for start in range(first, last, _CHUNK):
        yield from mixed_texts(start, min(_CHUNK, last - start))


def measure(
    bundle: Path, mode: str, engine: str, threads: int | None, first: int, last: int
) -> Growth:
    """Answer ``last`` texts in this process and measure it twice."""
    answerer = pipeline(model=bundle, mode=mode, engine=engine, threads=threads)
    sizes = []
    for begin, end in ((0, first), (first, last)):
        for _ in answerer.stream(texts(begin, end), truncation=True):
            pass
        sizes.append(resident_memory() or 0.0)
    return Growth(
        mode=mode,
        rss_first=sizes[0],
        rss_last=sizes[1],
        peak=peak_memory() or 0.0,
        ratio=sizes[1] / sizes[0],
    )


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("bundle", type=Path, metavar="DIR", help="the bundle to measure")
    parser.add_argument("--mode", choices=MODES, help="default: both, one after the other")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: auto")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all allowed cores")
    parser.add_argument("--first", type=int, default=1_000, metavar="N", help="texts (1000)")
    parser.add_argument("--last", type=int, default=10_000, metavar="N", help="texts (10000)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    args = parser.parse_args(words)
    if not 0 < args.first < args.last:
        parser.error("--first must be from 1 and below --last")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Measure each mode in a process of its own and print the growth."""
    args = parse(words)
    if args.here:
        growth = measure(args.bundle, args.mode, args.engine, args.threads, args.first, args.last)
        print(json.dumps(growth))
        return 0
    if not args.json:
        print(f"{args.bundle}: RSS in MiB after {args.first} and {args.last} texts; {cpu_name()}")
    for mode in [args.mode] if args.mode else MODES:
        command = [sys.executable, "-m", "studies.memory_growth", str(args.bundle), "--here"]
        command += ["--mode", mode, "--engine", args.engine]
        command += ["--first", str(args.first), "--last", str(args.last)]
        command += ["--threads", str(args.threads)] if args.threads else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return done.returncode
        if args.json:
            print(done.stdout, end="", flush=True)
            continue
        found: Growth = json.loads(done.stdout)
        print(
            f"{mode:<10}  {found['rss_first']:6.0f}  {found['rss_last']:6.0f}  "
            f"x {found['ratio']:.3f}  (peak {found['peak']:.0f})",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
