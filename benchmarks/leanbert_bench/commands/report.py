"""Write report.md and report.html of a run anew, from its results.json.

examples:
  leanbert bench report results
  leanbert bench report benchmarks/results/finbert.json -o build/report
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("results", type=Path, help="results.json, or the directory that holds it")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR",
        help="where the reports go (default: beside the results)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write both reports, and name them.

    Raises:
        InputError: the results cannot be used, or the output is a file.
        MissingExtraError: matplotlib is not installed.
    """
    from leanbert_bench.report.writing import write_reports
    from leanbert_bench.results.schema import read_results

    beside = args.results if args.results.is_dir() else args.results.absolute().parent
    for path in write_reports(read_results(args.results), args.output or beside):
        sys.stdout.write(f"{path}\n")
    return 0
