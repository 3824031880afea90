"""Show a table of a run, or put it between the markers of a page.

Without --kind it shows all back ends with all figures. forward shows ms per shape, offline texts
per second, both with ratios to the peers of --against; start the first answer's seconds and memory;
fidelity, batches and embeddings how near the answers are to the reference's, and how much they
change with the batch.

examples:
  leanbert bench table results
  leanbert bench table results --readme README.md --page docs/results.md
  leanbert bench table results --kind forward --against openvino-int8
  leanbert bench table a.json b.json --kind fidelity --names tweets,news
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from leanbert.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from leanbert_bench.commands.arguments import name_list
    from leanbert_bench.report.peers import KINDS

    add = parser.add_argument
    add("results", type=Path, nargs="+", help="results.json, or the directory that holds it")
    add("--kind", choices=tuple(KINDS), help="show one measure, as above")
    add(
        "--backends", type=name_list, default=(), metavar="ID,...", help="show these (default: all)"
    )
    add("--against", type=name_list, default=(), metavar="ID,...", help="give ratios to these")
    add("--names", type=name_list, default=(), metavar="NAME,...", help="of the files of results")
    add(
        "--readme", type=Path, metavar="FILE",
        help="put six rows between <!-- bench:start --> and <!-- bench:end --> of this file",
    )  # fmt: skip
    add("--page", type=Path, metavar="FILE", help="put the whole table there in the same way")


def run(args: argparse.Namespace) -> int:
    """Show the table, or put it into the pages that are named.

    Raises:
        InputError: the results or a page cannot be used, or options do not fit together.
    """
    from leanbert_bench.results.schema import read_results

    chosen = args.backends or args.against or args.names
    if args.kind is None:
        if chosen or len(args.results) > 1:
            raise InputError("several results, --backends, --against and --names need a --kind")
        return _whole(args)
    if args.readme or args.page:
        raise InputError("--readme and --page take the whole table, without --kind")
    if args.names and len(args.names) != len(args.results):
        raise InputError(f"--names has {len(args.names)} names for {len(args.results)} results")
    from leanbert_bench.report.peers import Choice, peers_table

    results = tuple(map(read_results, args.results))
    choice = Choice(results, args.backends, args.against, args.names)
    sys.stdout.write(peers_table(args.kind, choice))
    return 0


def _whole(args: argparse.Namespace) -> int:
    from leanbert_bench.report.readme import path_from, readme_table, section
    from leanbert_bench.results.schema import NAME, read_results
    from leanbert_bench.sections import END, START, replace_section, split_section

    (given,) = args.results
    results = read_results(given)
    file = given / NAME if given.is_dir() else given
    pages = [(page, page is args.readme) for page in (args.readme, args.page) if page]
    if not pages:
        sys.stdout.write(readme_table(results))
    for page, _ in pages:  # none is written unless all can be
        split_section(page, START, END)
    for page, short in pages:
        replace_section(page, section(results, path_from(page, file), short=short))
    return 0
