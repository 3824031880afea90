"""Strangers' text as HTML: escaped, without control characters, with marks in it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from leanbert.shown import OBEYED, shown

__all__ = ["elided", "escaped", "flowing", "marked", "signed"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_SHORT = 160


def escaped(text: object) -> str:
    r"""``text`` for any place of a page: HTML's characters escaped, control characters visible.

    Tabs and line breaks stay. What turns the direction of the text that follows, or has no place in
    HTML, is shown as an escape (``\x1b``); half a surrogate pair becomes ``U+FFFD``.
    """
    plain = _SURROGATE.sub("\ufffd", str(text)).replace("\r\n", "\n").replace("\r", "\n")
    visible = OBEYED.sub(lambda found: found[0] if found[0] in "\t\n" else shown(found[0]), plain)
    return html.escape(visible)


def flowing(text: str) -> str:
    """The same, with each blank line as a break."""
    return _BLANK_LINE.sub("<br><br>\n", escaped(text))


def marked(text: str, marks: Iterable[tuple[int, int, str, str]]) -> str:
    """A text with what stands before and after some of its parts.

    Args:
        text: the text, which is escaped.
        marks: the first character of each part, the one after its last, and the HTML before and
            after it, in any order. A part that overlaps one before it is left out.
    """
    found: list[str] = []
    done = 0
    for start, end, before, after in sorted(marks, key=lambda mark: (mark[0], -mark[1])):
        if start >= done and end > start:
            found += [flowing(text[done:start]), before, flowing(text[start:end]), after]
            done = end
    return "".join([*found, flowing(text[done:])])


def elided(text: str) -> str:
    """The beginning of a text on one line, escaped."""
    line = " ".join(text[: 4 * _SHORT].split())
    return escaped(line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…")


def signed(number: float, digits: int = 2) -> str:
    """A number with its sign, where the minus is as wide as the plus."""
    return f"{number:+.{digits}f}".replace("-", "\u2212")
