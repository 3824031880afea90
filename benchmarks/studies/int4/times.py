r"""Measure what reading weights of 4 bits would save: BERT-base's linear layers, int8 beside int4.

native_int4 is the prototype that the native engine's build makes for this study. It reads all
weights from memory and lets the variants take turns; this adds medians and ratios.

examples:
  python -m studies.int4.times --program build/native/native_int4 \
      -o benchmarks/results/int4-times.json
  python -m studies.int4.times --table benchmarks/results/int4-times.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from leanbert.errors import InputError
from leanbert_bench.provenance import describe_study
from leanbert_bench.report.formatting import number, ratio_with_interval
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import Json, measure_or_show, new_parser

BASE = "int8"


def measure(args: argparse.Namespace) -> Json:
    """Run the prototype's benchmark, once for each number of threads.

    Raises:
        InputError: the program fails, or it prints no results.
    """
    rows: list[Json] = []
    for threads in args.threads.split(","):
        command = [str(args.program), "--threads", threads, "--turns", str(args.turns)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise InputError(f"{args.program}: {last[0]}")
        try:
            rows += json.loads(done.stdout)
        except json.JSONDecodeError as error:
            raise InputError(f"{args.program}: no results: {error}") from error
    return describe_study() | {"rows": rows}


def table(results: Json) -> str:
    """Return the Markdown table: int8 in milliseconds, the others as ratios to it."""
    cases: dict[tuple[int, int], dict[str, list[float]]] = {}
    for row in results["rows"]:
        cases.setdefault((row["threads"], row["tokens"]), {})[row["variant"]] = row["ms"]
    others = [name for name in next(iter(cases.values())) if name != BASE]
    lines = [
        "| threads | batch x tokens | int8, ms | "
        + " | ".join(f"{name}, of int8's time" for name in others)
        + " |",
        "| --: | --- | --: |" + " --: |" * len(others),
    ]
    for (threads, tokens), found in cases.items():
        ratios = [ratio_with_interval(paired_ratio(found[name], found[BASE])) for name in others]
        lines.append(
            f"| {threads} | 1x{tokens} | {number(median(found[BASE]))} | "
            + " | ".join(ratios)
            + " |"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table, or print that of earlier results."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--program", type=Path, metavar="FILE", help="native_int4")
    parser.add_argument("--threads", default="1,2", metavar="N", help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=31, metavar="N", help="default: %(default)s")
    args = parser.parse_args(words)
    if args.table is None and args.program is None:
        parser.error("give --program, or --table FILE")
    return measure_or_show("int4.times", args, lambda: measure(args), table)


if __name__ == "__main__":
    sys.exit(main())
