"""The page as a whole: how to read it, what all texts say together, and their sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from leanbert.pages.parts import Palette
from leanbert.pages.plot import running_mean
from leanbert.pages.sections import Section, section
from leanbert.pages.style import STYLE
from leanbert.pages.text import escaped
from leanbert.shown import counted

__all__ = ["Page"]

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#answers">Skip to the answers</a>
<header>
<h1>{title}</h1>
"""

_SENTIMENT = (
    '<li><span class="p3">▲ positive</span></li>'
    '<li><span class="n3">▼ negative</span></li><li>without a sign: near zero</li>'
)
_REACH = "<li>point at, tap or tab to a part: its scores appear below</li>"
_KEYS = {
    "sentiment": f"{_SENTIMENT}<li>the stronger the shade, the stronger the sentiment</li>{_REACH}",
    "labels": "",
    "words": (
        f"{_SENTIMENT}{_REACH}"
        '<li><span class="word w2">for the label</span>, '
        '<span class="word w2 against">against it</span>: by the score without the word</li>'
    ),
}
_MOST_LINKS = 200


class Page:
    """A page to which answers are added one after the other.

    Args:
        title: of the page.
        about: facts for the reader, such as the model's name.
    """

    def __init__(self, title: str, about: Sequence[str] = ()) -> None:
        self._title, self._about = title, about
        self._palette = Palette()
        self._sections: list[tuple[str, Section]] = []

    def add(self, given: Any, answer: Any, name: str | None = None) -> None:
        """Add an input with its answer.

        Args:
            given: as the pipeline takes it.
            answer: as the pipeline gives it.
            name: what the page calls the input; ``None`` numbers it.

        Raises:
            InputError: a page cannot show such an answer.
        """
        called = name or f"Text {len(self._sections) + 1}"
        self._sections.append((called, section(given, answer, called, self._palette)))

    def html(self) -> str:
        """The whole page."""
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield _HEAD.format(title=escaped(self._title), style=STYLE)
        about = [counted(len(self._sections), "text"), *self._about]
        yield f'<p class="note">{escaped(" · ".join(about))}</p>\n</header>\n<main id="answers">\n'
        kinds = {found.key for _, found in self._sections} & set(_KEYS)
        for kind in ("words", "sentiment"):
            if kind in kinds:
                yield f'<ul class="key" aria-label="How to read this page">{_KEYS[kind]}</ul>\n'
                break
        yield from self._overview()
        for row, numbered in groupby(
            enumerate(self._sections, 1), key=lambda entry: entry[1][1].row
        ):
            if row:
                yield '<ol class="rows">\n'
                yield from (
                    f'<li class="row" id="text-{number}">{found.body}</li>\n'
                    for number, (_, found) in numbered
                )
                yield "</ol>\n"
            else:
                yield from (
                    f'<article id="text-{number}">\n{found.body}</article>\n'
                    for number, (_, found) in numbered
                )
        yield "</main>\n<footer>Made by LeanBERT. Scores are a model's, not facts.</footer>\n"
        yield "</body>\n</html>\n"

    def _overview(self) -> Iterator[str]:
        """What several texts say together, and links to those that are long."""
        if len(self._sections) < 2:
            return
        sections = [found for _, found in self._sections]
        rows = [found for found in sections if found.row]
        counts = Counter(found.said.rpartition(" ")[0] for found in rows)
        if rows:
            listed = ", ".join(f"{label}: {number:,}" for label, number in counts.most_common())
            yield f'<p class="verdict">{escaped(listed)}</p>\n'
        sentiments = [found.sentiment for found in sections if found.sentiment is not None]
        if len(sentiments) == len(sections):
            yield running_mean(sentiments, "text")
        links = [
            f'<li><a href="#text-{number}">{escaped(name)}</a>: {escaped(found.said)}</li>\n'
            for number, (name, found) in enumerate(self._sections, 1)
            if not found.row
        ]
        if 1 < len(links) <= _MOST_LINKS:
            yield f'<nav aria-label="Texts"><ul>\n{"".join(links)}</ul></nav>\n'
