"""Write a script that completes the command's words in a shell, to stdout.

It needs the package shtab, only while it writes the script: pip install 'leanbert[completion]'.

examples:
  leanbert completion bash > ~/.local/share/bash-completion/completions/leanbert
  leanbert completion zsh > ~/.zfunc/_leanbert
  leanbert completion fish > ~/.config/fish/completions/leanbert.fish
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from leanbert.errors import MissingExtraError

_SHELLS = ("bash", "zsh", "fish")
_FOLDERS = frozenset({"BUNDLE", "CHECKPOINT", "DIR"})
_FILES = frozenset({"FILE"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert completion``."""
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))


def run(args: argparse.Namespace) -> int:
    """Write the script.

    Raises:
        MissingExtraError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise MissingExtraError(
            "leanbert completion needs shtab; install with: pip install 'leanbert[completion]'"
        ) from error
    from leanbert.cli import command_parser

    parser = command_parser()
    for each in _parsers(parser):
        _prepare(each)
    sys.stdout.write(shtab.complete(parser, shell=args.shell))
    return 0


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser and those of its subcommands, with all their flags."""
    load = getattr(parser, "load", None)
    if load is not None:  # an action of leanbert bench
        load()
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _parsers(each)


def _prepare(parser: argparse.ArgumentParser) -> None:
    """Show flags that the help shows elsewhere, and say which arguments are files.

    Older names, which :func:`leanbert.cli.flags.add_alias` declares, stay hidden.
    """
    import shtab

    from leanbert.pipelines import TASKS

    for action in parser._actions:
        if action.help == argparse.SUPPRESS and action.default != argparse.SUPPRESS:
            action.help = ""
        if "--task" in action.option_strings:
            action.choices = TASKS
        if action.choices is not None and not isinstance(action.choices, dict):
            action.choices = tuple(action.choices)
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in _FILES or action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
