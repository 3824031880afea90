"""Tables that can be folded, and that a keyboard can scroll."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["table"]

_NUMBERS = frozenset({"#", "Number", "Running mean", "Score", "Sentiment", "Share"})
"""Columns of numbers, which end at one line; all others are words."""


def table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, opened: bool = False
) -> str:
    """A table; nothing where it has no rows.

    Args:
        title: what its summary says.
        heads: of the columns.
        rows: cells of HTML.
        opened: whether it is not folded at first.
    """
    if not rows:
        return ""
    kinds = ["" if head in _NUMBERS else ' class="words"' for head in heads]
    head = "".join(
        f'<th scope="col"{kind}>{text}</th>' for kind, text in zip(kinds, heads, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{text}</td>" for kind, text in zip(kinds, row, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return (
        f"<details{' open' if opened else ''}><summary>{title}</summary>\n"
        f'<div class="scroll" tabindex="0" role="group" aria-label="{title}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div></details>\n"
    )
