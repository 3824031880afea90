"""Markdown in which no text or name changes the layout."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Underscores within a word are plain to every Markdown.
_MARKUP = re.compile(r"[\\|*`<>#]|(?<!\w)_|_(?!\w)")


def row(cells: Sequence[str]) -> str:
    """Return one line of a table; an empty cell is shown as a dash unless it is the first."""
    first, *others = cells
    return "| " + " | ".join(map(escape, [first, *(cell or "–" for cell in others)])) + " |"


def rule(columns: int) -> str:
    """Return the line under a table's head, which puts names left and figures right."""
    return "| " + " | ".join(["---"] + ["--:"] * (columns - 1)) + " |"


def escape(text: str) -> str:
    """Return one line in which nothing ends a cell, opens a tag or a link, or becomes bold."""
    plain = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return plain.replace("](", "]\\(")
