"""Markdown that stays what it was, whatever stands in a text or a name."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Underscores within a word are plain to every Markdown.
_MARKUP = re.compile(r"[\\|*`<>#]|(?<!\w)_|_(?!\w)")


def row(cells: Sequence[str]) -> str:
    """One line of a table; an empty cell is shown as a dash, unless it is the first."""
    first, *others = cells
    return "| " + " | ".join(map(escape, [first, *(cell or "–" for cell in others)])) + " |"


def rule(columns: int) -> str:
    """The line under a table's head: names to the left, figures to the right."""
    return "| " + " | ".join(["---"] + ["--:"] * (columns - 1)) + " |"


def escape(text: str) -> str:
    """One line in which nothing ends a cell, opens a tag or a link, or sets in bold."""
    plain = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return plain.replace("](", "]\\(")
