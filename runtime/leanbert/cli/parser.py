"""A parser of commands whose help fits a screen of 80 columns, the same on every Python."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from leanbert.shown import shown

__all__ = ["WIDTH", "CommandParser", "flag_lines"]

WIDTH = 80
_WIDEST = 28
"""Characters of a flag's column at most; a longer flag has a line of its own."""

_EXAMPLES = re.compile(r"^(?=examples?:)", re.IGNORECASE | re.MULTILINE)


class CommandParser(argparse.ArgumentParser):
    """Shows its description, its flags by groups, and its examples last.

    The description is prose; from a line ``examples:`` on it is shown as it is written.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        # argparse makes a formatter to check each flag, which would ask for the terminal's width.
        options.setdefault("formatter_class", partial(argparse.HelpFormatter, width=WIDTH))
        super().__init__(*args, **options)
        self.words: Sequence[str] = ()
        """What is parsed, or was."""
        self.sections: list[Callable[[Sequence[str]], Iterable[str]]] = []
        """Make further lines of the help from :attr:`words`."""
        for action in self._actions:
            action.help = argparse.SUPPRESS  # --help: who reads it knows

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See :class:`argparse.ArgumentParser`."""
        self.words = list(args or ())
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # said here, a command's own usage stands beside it
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def format_usage(self) -> str:
        """One line: the flags that must be given, and the arguments."""
        words = [self.prog]
        if any(action.option_strings and action.dest != "help" for action in self._actions):
            words.append("[FLAGS]")
        for action in self._actions:
            name = str(action.metavar or action.dest.upper())
            if action.option_strings:
                words += [f"{action.option_strings[0]} {name}"] if action.required else []
            elif isinstance(action, argparse._SubParsersAction):
                words.append(f"{name} ...")
            else:
                words.append(
                    {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(
                        str(action.nargs), name
                    )
                )
        return f"usage: {' '.join(words)}\n"

    def format_help(self) -> str:
        """The whole help."""
        prose, examples = _parted(self.description or "")
        flags: list[str] = []
        for group in self._action_groups:
            lines = [*flag_lines(group._group_actions), *_indented(group.description)]
            if lines and group.title not in {"positional arguments", "options"}:
                flags.append(f"{group.title}:")
            flags += lines
        for section in self.sections:
            flags += section(self.words)
        blocks = [self.format_usage().rstrip("\n"), *_filled(prose), "\n".join(flags)]
        return "\n\n".join(filter(None, [*blocks, examples.rstrip()])) + "\n"

    def error(self, message: str) -> Any:
        """Say what is wrong, with the usage, and exit with 2."""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {shown(message)}\n")


def flag_lines(actions: Iterable[argparse.Action]) -> Iterator[str]:
    """Yield the lines that show flags, each with its help beside it."""
    for action in actions:
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            yield from flag_lines(action._choices_actions)
            continue
        head = "  " + ", ".join(action.option_strings or [str(action.metavar or action.dest)])
        if action.option_strings and action.nargs != 0:
            head += f" {action.metavar or _choices(action)}"
        text = (action.help or "") % {"default": action.default}
        lines = textwrap.wrap(text, WIDTH - _WIDEST - 2, break_on_hyphens=False)
        if len(head) > _WIDEST or not lines:
            yield head
        else:
            yield f"{head:<{_WIDEST}}  {lines.pop(0)}"
        for line in lines:
            yield f"{'':<{_WIDEST}}  {line}"


def _indented(text: str | None) -> Iterator[str]:
    """What a group says after its flags."""
    if text:
        yield from textwrap.wrap(
            text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )


def _choices(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


def _parted(description: str) -> tuple[str, str]:
    """The prose, and what is to be shown as it stands."""
    found = _EXAMPLES.search(description)
    if found is None:
        return description, ""
    return description[: found.start()], description[found.start() :]


def _filled(prose: str) -> list[str]:
    paragraphs = [part for part in re.split(r"\n\s*\n", prose) if part.strip()]
    return [textwrap.fill(" ".join(part.split()), WIDTH) for part in paragraphs]
