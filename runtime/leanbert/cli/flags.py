"""Flags that several commands share: one name, one meaning and one default for each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from leanbert.errors import InputError
from leanbert.records import FORMATS, ReadOptions
from leanbert.shown import listed

__all__ = [
    "add_alias",
    "add_bundle_argument",
    "add_bundle_flag",
    "add_engine_flags",
    "add_reading_flags",
    "bundle_of",
    "read_options",
]


def add_alias(parser: argparse._ActionsContainer, *names: str, **reads: Any) -> None:
    """Declare further names of a flag, which the help does not show; ``dest`` says whose."""
    parser.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **reads)


def add_bundle_flag(parser: argparse._ActionsContainer) -> None:
    """Declare ``--bundle`` of a command that takes texts as its arguments."""
    parser.add_argument(
        "-m", "--bundle", metavar="DIR", help="default: the embedded sentiment model"
    )
    add_alias(parser, "--model", dest="bundle")


def add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the bundle of a command that takes no other arguments; ``--bundle`` names it, too."""
    parser.add_argument(
        "named", nargs="?", metavar="BUNDLE", help="its directory (default: the embedded model)"
    )
    add_alias(parser, "-m", "--bundle", "--model", dest="bundle")


def bundle_of(args: argparse.Namespace) -> Path | None:
    """The bundle that the command line names; ``None`` for the embedded model.

    Raises:
        InputError: it names two.
    """
    named, flagged = getattr(args, "named", None), getattr(args, "bundle", None)
    if named is not None and flagged is not None:
        raise InputError(f"name one bundle, not both {named} and {flagged}")
    given = flagged if named is None else named
    return None if given is None else Path(given)


def add_engine_flags(parser: argparse._ActionsContainer) -> None:
    """Declare what computes, and on how many cores."""
    from leanbert.engines import ENGINES  # late: help of other commands does not wait for numpy

    parser.add_argument(
        "--engine", choices=ENGINES, default="auto", metavar="NAME",
        help=f"{listed(ENGINES)} (default: auto)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, metavar="N", help="default: all allowed cores")


def add_reading_flags(group: argparse._ArgumentGroup, *, labels: bool = False) -> None:
    """Declare how files are read, and which of their columns are meant.

    Args:
        group: of the command's flags.
        labels: whether the command reads the true labels of texts. Such a command has many flags
            of its own, so its help names these in a few lines.
    """

    def add(name: str, said: str, **reads: Any) -> None:
        group.add_argument(name, help=argparse.SUPPRESS if labels else said, **reads)

    add("--text-column", "of .csv and others (default: text)", default="text", metavar="NAME")
    add("--text-pair-column", "the second text of each row", metavar="NAME")
    add_alias(group, "--pair-column", dest="text_pair_column")
    if labels:
        add("--label-column", "the true label of each row", metavar="NAME")
        add_alias(group, "--labels", dest="label_column")
        group.description = (
            "--text-column, --text-pair-column, --label-column NAME; also --input-format, "
            "--encoding, --delimiter, --no-quotes (see leanbert predict --help)"
        )
    add("--input-format", f"{', '.join(FORMATS)} (by name)", choices=FORMATS, metavar="NAME")
    add("--encoding", "of text files (default: utf-8)", default="utf-8", metavar="NAME")
    add("--delimiter", "of cells; in .txt, @ reads lines text@label", metavar="CHAR")
    add("--no-quotes", "quotes in .csv and .tsv are plain characters", action="store_true")


def read_options(args: argparse.Namespace, *, whole: bool = False) -> ReadOptions:
    """What the flags of :func:`add_reading_flags` ask for.

    Args:
        args: the parsed command line.
        whole: whether a ``.txt`` file is one text.

    Raises:
        InputError: the encoding or the delimiter cannot be used.
    """
    return ReadOptions(
        format=args.input_format,
        encoding=args.encoding,
        delimiter=args.delimiter,
        quotes=not args.no_quotes,
        whole=whole,
    )
