"""Show the table of a run, or put it between the markers of a page.

examples:
  leanbert bench table results
  leanbert bench table results --readme README.md --page docs/results.md
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
        help="put six rows between <!-- bench:start --> and <!-- bench:end --> of this file",
    )  # fmt: skip
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="put the whole table there in the same way"
    )


def run(args: argparse.Namespace) -> int:
    """Show the table, or put it into the pages that are named.

    Raises:
        InputError: the results or a page cannot be used.
    """
    from leanbert_bench.report.readme import path_from, readme_table, section
    from leanbert_bench.results.schema import NAME, read_results
    from leanbert_bench.sections import END, START, replace_section, split_section

    results = read_results(args.results)
    file = args.results / NAME if args.results.is_dir() else args.results
    pages = [(page, page is args.readme) for page in (args.readme, args.page) if page]
    if not pages:
        sys.stdout.write(readme_table(results))
    for page, _ in pages:  # none is written unless all can be
        split_section(page, START, END)
    for page, short in pages:
        replace_section(page, section(results, path_from(page, file), short=short))
    return 0
