"""Show the README's table of a run, or put it between the README's markers.

Examples:
  leanbert bench table results
  leanbert bench table benchmarks/results/finbert.json --readme README.md
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("results", type=Path, help="results.json, or the directory that holds it")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE",
        help="put the table between <!-- bench:start --> and <!-- bench:end --> of this file",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Show or put the table.

    Raises:
        InputError: the results or the README cannot be used.
    """
    from leanbert_bench.report.readme import path_from, readme_table, section
    from leanbert_bench.results.schema import NAME, read_results
    from leanbert_bench.sections import replace_section

    results = read_results(args.results)
    if args.readme is None:
        sys.stdout.write(readme_table(results))
        return 0
    file = args.results / NAME if args.results.is_dir() else args.results
    replace_section(args.readme, section(results, path_from(args.readme, file)))
    return 0
