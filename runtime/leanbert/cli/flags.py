"""Flags that several commands share: one name, one meaning and one default for each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.arguments import ENGINES
from leanbert.errors import InputError
from leanbert.records.names import FORMATS
from leanbert.shown import listed

if TYPE_CHECKING:
    from leanbert.records import ReadOptions

__all__ = [
    "add_alias",
    "add_bundle_argument",
    "add_bundle_flag",
    "add_choice_flags",
    "add_engine_flags",
    "add_reading_flags",
    "bundle_of",
    "choice_of",
    "flag_of",
    "located",
    "read_options",
    "whole",
]

_CHOICE = ("revision", "file_name", "subfolder")


def flag_of(name: str) -> str:
    """The flag of an argument of the library."""
    return "--" + ("bundle" if name == "model" else name.replace("_", "-"))


def whole(given: str) -> int:
    """A whole number that was given to a flag."""
    try:
        return int(given)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{given[:40]!r} is no whole number of a few digits"
        ) from None


def add_alias(parser: argparse._ActionsContainer, *names: str, **reads: Any) -> None:
    """Declare further names of a flag, which the help does not show; ``dest`` says whose."""
    parser.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **reads)


def add_bundle_flag(group: argparse._ArgumentGroup) -> None:
    """Declare ``--bundle`` of a command that takes texts as its arguments."""
    group.add_argument(
        "-m", "--bundle", metavar="DIR", help="or owner/name; default: the embedded model"
    )
    add_alias(group, "--model", dest="bundle")
    for name in _CHOICE:
        group.add_argument(flag_of(name), metavar="NAME", help=argparse.SUPPRESS)
    group.add_argument("--output-name", metavar="NAME", help=argparse.SUPPRESS)
    flags = ", ".join(map(flag_of, _CHOICE))
    group.description = f"{flags} (of a repository), --output-name NAME"


def add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the bundle of a command that takes no other arguments; ``--bundle`` names it, too."""
    parser.add_argument(
        "named", nargs="?", metavar="BUNDLE", help="or owner/name (default: the embedded model)"
    )
    add_alias(parser, "-m", "--bundle", "--model", dest="bundle")
    add_choice_flags(parser)


def add_choice_flags(parser: argparse.ArgumentParser) -> None:
    """Declare what chooses a model in a repository of the hub, or in a directory."""
    add = parser.add_argument
    add("--revision", metavar="REV", help="of a repository: branch, tag or commit")
    add("--file-name", metavar="NAME", help="which of several ONNX files (default: model.onnx)")
    add("--subfolder", metavar="NAME", help="its folder, or a bundle's")


def choice_of(args: argparse.Namespace) -> dict[str, str]:
    """What was given of the flags that choose a model, as the arguments of :func:`pipeline`."""
    given = {name: getattr(args, name) for name in _CHOICE}
    return {name: value for name, value in given.items() if value is not None}


def located(args: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """The directory that the command line names, fetched if it is a repository of the hub.

    Returns:
        It, and the arguments of ``Bundle.open``.

    Raises:
        BundleError: it cannot be fetched.
        InputError: it is named twice, or a flag makes no sense.
    """
    from leanbert.bundle.reading import status
    from leanbert.pipelines import embedded_bundle

    named, choice = bundle_of(args), dict[str, Any](choice_of(args))
    if named is not None and "/" in named and status(Path(named)) is None:
        from leanbert.bundle import hub  # late: who opens a local model waits for no module

        if hub.is_repository(named):
            found = hub.fetch(named, **choice)
            return found.path, {"file_name": found.graph, "hashed": found.hashed}
    if choice.pop("revision", None) is not None:
        raise InputError("--revision is of a repository on the hub; name it as owner/name")
    return (embedded_bundle() if named is None else Path(named)), choice


def bundle_of(args: argparse.Namespace) -> str | None:
    """The bundle that the command line names, as it is written; ``None`` for the embedded model.

    Raises:
        InputError: it names two.
    """
    named, flagged = getattr(args, "named", None), getattr(args, "bundle", None)
    if named is not None and flagged is not None:
        raise InputError(f"name one bundle, not both {named} and {flagged}")
    given: str | None = flagged if named is None else named
    return given


def add_engine_flags(parser: argparse._ActionsContainer) -> None:
    """Declare what computes, and on how many cores."""
    parser.add_argument(
        "--engine", choices=ENGINES, default="auto", metavar="NAME",
        help=f"{listed(ENGINES)} (default: auto)",
    )  # fmt: skip
    parser.add_argument("--threads", type=whole, metavar="N", help="default: all allowed cores")


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


def read_options(
    args: argparse.Namespace, *, whole: bool = False, bad_rows: bool = False
) -> ReadOptions:
    """What the flags of :func:`add_reading_flags` ask for.

    Args:
        args: the parsed command line.
        whole: whether a ``.txt`` file is one text.
        bad_rows: whether rows that cannot be read are given with their problem.

    Raises:
        InputError: the encoding or the delimiter cannot be used.
    """
    from leanbert.records import ReadOptions  # late: only files are read by options

    return ReadOptions(
        format=args.input_format,
        encoding=args.encoding,
        delimiter=args.delimiter,
        quotes=not args.no_quotes,
        whole=whole,
        bad_rows=bad_rows,
    )
