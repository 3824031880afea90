"""Compare speed, memory and fidelity with PyTorch and the peers on this machine.

Examples:
  leanbert bench run --checkpoint HF_DIR -o results
  leanbert bench run --random-weights bert-base --quick
  leanbert bench table results.json --readme README.md
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leanbert_bench import cli_run

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``run`` and ``table`` with their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="run|table")
    cli_run.add_arguments(actions.add_parser("run", help="measure, and write results and reports"))
    table = actions.add_parser("table", help="show results as a Markdown table")
    table.add_argument("results", type=Path, help="what run wrote")
    table.add_argument(
        "--readme", type=Path, metavar="FILE",
        help="put the table between <!-- bench:start --> and <!-- bench:end --> of this file",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Do it, and return the exit code.

    Raises:
        LeanBertError: a file or an argument cannot be used.
    """
    return _table(args) if args.action == "table" else cli_run.run(args)


def _table(args: argparse.Namespace) -> int:
    from leanbert_bench.report import markdown, read_document, replace_section

    text = markdown(read_document(args.results))
    if args.readme is None:
        sys.stdout.write(text)
    else:
        replace_section(args.readme, text)
    return 0
