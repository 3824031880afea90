"""Flags that several commands share: one name, one meaning and one default for each."""

from __future__ import annotations

import argparse
from typing import Any

from leanbert.records import FORMATS, ReadOptions

__all__ = ["add_alias", "add_reading_flags", "read_options"]


def add_alias(parser: argparse._ActionsContainer, *names: str, **reads: Any) -> None:
    """Declare further names of a flag, which the help does not show; ``dest`` says whose."""
    parser.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **reads)


def add_reading_flags(parser: argparse._ActionsContainer, *, labels: bool) -> None:
    """Declare how files are read, and which of their columns are meant.

    Args:
        parser: of the command, or a group of its flags.
        labels: whether the command reads the true labels of texts.
    """
    parser.add_argument("--text-column", default="text", metavar="NAME", help="default: text")
    parser.add_argument("--text-pair-column", metavar="NAME", help="the second text of each row")
    add_alias(parser, "--pair-column", dest="text_pair_column")
    if labels:
        parser.add_argument("--label-column", metavar="NAME", help="the true label of each row")
        add_alias(parser, "--labels", dest="label_column")
    parser.add_argument(
        "--input-format", choices=FORMATS, help="default: by the file's name, txt for pipes"
    )
    parser.add_argument("--encoding", default="utf-8", help="of text files (default: utf-8)")
    parser.add_argument(
        "--delimiter", metavar="CHAR", help="between cells; in .txt, @ parts text@label"
    )
    parser.add_argument("--no-quotes", action="store_true", help="quotes are plain characters")


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
