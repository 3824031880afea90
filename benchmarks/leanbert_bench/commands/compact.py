"""Make results small enough to be committed: a summary in place of each turn's samples.

Every table stays what it was. A file that leanbert bench run did not write is laid out anew only:
one line per row, seven significant digits per number.

examples:
  leanbert bench compact results/results.json
  leanbert bench compact results -o benchmarks/results/finbert.json
  leanbert bench compact benchmarks/results/*.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "results", type=Path, nargs="+", help="JSON file, or the directory that holds results.json"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE",
        help="where to write it (default: in place of what is given)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Rewrite the files, and name each with its size before and after.

    Raises:
        InputError: a file cannot be used, or --output is given for several files.
    """
    from leanbert.cli.outputs import check_output
    from leanbert.errors import InputError
    from leanbert_bench.results.compact import compacted
    from leanbert_bench.results.schema import NAME, check_results, read_json, write_json

    if args.output and len(args.results) > 1:
        raise InputError("--output takes one file; leave it out to rewrite several in place")
    if args.output:
        check_output(args.output)
    for given in args.results:
        file = given / NAME if given.is_dir() else given
        before, content = file.stat().st_size if file.is_file() else 0, read_json(file)
        if not isinstance(content, dict):
            raise InputError(f"{file}: holds no JSON object")
        if "schema_version" in content:
            check_results(content, str(file))
            content = compacted(content)
        target = args.output or file
        write_json(target, content)
        sys.stdout.write(f"{target}: {before:,} -> {target.stat().st_size:,} bytes\n")
    return 0
