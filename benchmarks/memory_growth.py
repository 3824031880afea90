"""Measure how the resident memory of a pipeline grows with texts of mixed length.

Each measurement has a process of its own: it streams the first texts, reads its resident set size
(RSS), streams on up to the last text, and reads it again. The texts are made of words drawn from
LeanBERT's own sample texts, 3 to 400 words long, log-uniformly, so that short and long ones meet in
every window. Linux only, as it reads /proc.

examples:
  python benchmarks/memory_growth.py models/leanbert_models/financial_sentiment
  python benchmarks/memory_growth.py my-bundle --mode throughput --engine onnxruntime --json
  python benchmarks/memory_growth.py my-bundle --first 200 --last 2000
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypedDict

from leanbert import pipeline
from leanbert.batching import MODES
from leanbert.cpu import cpu_name
from leanbert.engines import ENGINES

_WORDS = Path(__file__).parents[1] / "export" / "leanbert_export" / "sample_texts.txt"
_SHORTEST, _LONGEST = 3, 400  # words
_SEED = 20


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


def texts() -> Iterator[str]:
    """Texts without end, the same ones each time."""
    words = _WORDS.read_text(encoding="utf-8").split()
    chance = random.Random(_SEED)  # noqa: S311 - seeded texts, not secrets
    while True:
        length = round(_SHORTEST * (_LONGEST / _SHORTEST) ** chance.random())
        yield " ".join(chance.choices(words, k=length))


def resident(key: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise OSError(f"/proc/self/status: has no {key}")


def measure(
    bundle: Path, mode: str, engine: str, threads: int | None, first: int, last: int
) -> Growth:
    """Answer ``last`` texts in this process and measure it twice."""
    answerer = pipeline(model=bundle, mode=mode, engine=engine, threads=threads)
    source = texts()
    sizes = []
    for count in (first, last - first):
        for _ in answerer.stream(islice(source, count), truncation=True):
            pass
        sizes.append(resident("VmRSS"))
    return Growth(
        mode=mode,
        rss_first=sizes[0],
        rss_last=sizes[1],
        peak=resident("VmHWM"),
        ratio=sizes[1] / sizes[0],
    )


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments of the command."""
    head, _, examples = str(__doc__).partition("examples:")
    parser = argparse.ArgumentParser(
        description=head,
        epilog="examples:" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="DIR", help="the bundle to measure")
    parser.add_argument("--mode", choices=MODES, help="default: both, one after the other")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: auto")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all allowed cores")
    parser.add_argument("--first", type=int, default=1_000, metavar="N", help="texts (1000)")
    parser.add_argument("--last", type=int, default=10_000, metavar="N", help="texts (10000)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    args = parser.parse_args(words)
    if not 0 < args.first < args.last:
        parser.error("--first must be from 1 and below --last")
    return args


def main() -> int:
    """Measure each mode in a process of its own and print the growth."""
    args = parse()
    if args.here:
        growth = measure(args.bundle, args.mode, args.engine, args.threads, args.first, args.last)
        print(json.dumps(growth))
        return 0
    if not args.json:
        print(f"{args.bundle}: RSS in MiB after {args.first} and {args.last} texts; {cpu_name()}")
    for mode in [args.mode] if args.mode else MODES:
        command = [sys.executable, __file__, str(args.bundle), "--here", "--mode", mode]
        command += ["--engine", args.engine]
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
