"""What the command lines of the studies share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leanbert.errors import InputError, LeanBertError
from leanbert_bench.results.schema import read_json, write_json
from leanbert_bench.run.process import WorkerError

Json = dict[str, Any]


def new_parser(documentation: str | None, *, results: bool = False) -> argparse.ArgumentParser:
    """Make a parser whose help is a module's docstring, with its examples below the options.

    Args:
        documentation: the docstring.
        results: whether to add the options of :func:`measure_or_show`.
    """
    head, mark, examples = (documentation or "").partition("examples:")
    parser = argparse.ArgumentParser(
        description=head.strip(),
        epilog=mark + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if results:
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="results, JSON")
        parser.add_argument("--table", type=Path, metavar="FILE", help="show earlier results only")
    return parser


def one_line_errors(study: str, action: Callable[[], int]) -> int:
    """Return what ``action`` returns, or 1 after one line about what cannot be used."""
    try:
        return action()
    except (LeanBertError, WorkerError, OSError) as error:
        sys.stderr.write(f"{study}: {error}\n")
        return 1


def measure_or_show(
    study: str,
    args: argparse.Namespace,
    measure: Callable[[], Json],
    table: Callable[[Json], str],
    passed: Callable[[Json], bool] = lambda _: True,
) -> int:
    """Print the table of new results, which ``-o`` writes, or that of ``--table``'s.

    Args:
        study: its name, for messages.
        args: with ``output`` and ``table`` as :func:`new_parser` declares them.
        measure: makes new results.
        table: makes their Markdown.
        passed: whether the exit code is 0.

    Returns:
        The exit code; 1 after one line about what cannot be used.
    """

    def run() -> int:
        if args.output and not args.output.absolute().parent.is_dir():  # before, not after, minutes
            raise InputError(f"{args.output.parent}: no such directory; make it, or change -o")
        found = read_json(args.table) if args.table else measure()
        if args.output:
            write_json(args.output, found)
        print(table(found).rstrip("\n"))
        return 0 if passed(found) else 1

    return one_line_errors(study, run)
