"""A text, a sentence or a window with its scores: shaded, with a sign, and its scores at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leanbert.pages.style import KINDS, LEVELS
from leanbert.pages.text import escaped, flowing, marked, signed

__all__ = ["Palette", "sentiment_of", "shaded", "strongest", "words_of"]

_NEUTRAL = 0.1
"""A sentiment nearer to 0 has no shade."""
_SIGNS = {1: ("up", "▲"), -1: ("down", "▼")}
_POLES = {"positive": 1, "negative": -1, "neutral": 0}
_LEAST_SHARE = 0.01
_LINES = (0.03, 0.1, 0.3)
"""The shares from which on a word has a thin, a middle and a thick line."""
_NAMED = 3
"""How many words are named with a part's scores."""


class Palette:
    """The colours of labels, in the order in which a page meets them."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def kind(self, label: str) -> str:
        """The class of a label; labels share colours where there are more than colours."""
        return f"k{self._known.setdefault(label, len(self._known) % KINDS)}"


def sentiment_of(scores: Mapping[str, float]) -> float | None:
    """``P(positive) - P(negative)``; ``None`` unless both are known."""
    lower = {label.lower(): score for label, score in scores.items()}
    if len(lower) < len(scores) or not {"positive", "negative"} <= set(lower):
        return None
    return lower["positive"] - lower["negative"]


def shaded(
    text: str,
    scores: Mapping[str, float],
    palette: Palette,
    *,
    words: Sequence[Mapping[str, Any]] = (),
    start: int = 0,
    row: bool = False,
) -> str:
    """A part as a ``<span>`` that can be reached by keyboard.

    Args:
        text: the part's own.
        scores: of the labels that are known, the best one first.
        palette: the colours of labels.
        words: those that are explained; they count characters from ``start``.
        start: the part's first character in its text.
        row: whether the label and its score stand beside the text anyway.
    """
    label, score = next(iter(scores.items()))
    names, before = _look(label, score, scores, palette, tagged=not row)
    said = [f"{label}, {score:.2f}"]
    shown = [f"{name} {value:.3f}" for name, value in scores.items()]
    sentiment = sentiment_of(scores)
    if sentiment is not None:
        shown.append(f"sentiment {signed(sentiment)}")
    named = strongest(words)
    if named:
        said.append(f"because of {named}")
        shown.append(named)
    first, *more = map(escaped, shown)
    tip = " · ".join([f"<b>{first}</b>", *more])
    heard = (
        "" if row and not named else f'<span class="hidden"> ({escaped("; ".join(said))})</span>'
    )
    inner = marked(text, words_of(words, start)) if words else flowing(text)
    return (
        f'<span class="part {names}" tabindex="0">{before}{inner}{heard}'
        f'<span class="tip" aria-hidden="true">{tip}</span></span>'
    )


def strongest(words: Iterable[Mapping[str, Any]]) -> str:
    """The words with the largest shares, whichever sign these have; they may be none."""
    order = sorted(words, key=lambda word: -abs(word["share"]))[:_NAMED]
    return ", ".join(
        f"{word['word']} {signed(word['share'])}"
        for word in order
        if abs(word["share"]) >= _LEAST_SHARE
    )


def words_of(words: Sequence[Mapping[str, Any]], start: int) -> Iterable[tuple[int, int, str, str]]:
    """The marks of the words that count: a line that is the thicker the larger the share is."""
    for word in words:
        share = word["share"]
        weight = sum(abs(share) >= least for least in _LINES)
        if not weight:
            continue
        names = f"word w{weight}{'' if share > 0 else ' against'}"
        before = f'<span class="{names}" title="{signed(share, 3)}">'
        yield word["start"] - start, word["end"] - start, before, "</span>"


def _look(
    label: str,
    score: float,
    scores: Mapping[str, float],
    palette: Palette,
    *,
    tagged: bool,
) -> tuple[str, str]:
    """The classes of a part, and the sign or the label before its text."""
    sentiment = sentiment_of(scores)
    if sentiment is None:
        pole = _POLES.get(label.lower())
        if pole is None:
            tag = f'<span class="tag first" aria-hidden="true">{escaped(label)}</span>'
            return palette.kind(label), tag if tagged else ""
        sentiment = pole * min(1.0, max(0.0, score))
    if abs(sentiment) < _NEUTRAL:
        return "even", ""
    steps = int((abs(sentiment) - _NEUTRAL) / (1 - _NEUTRAL) * LEVELS)
    direction, sign = _SIGNS[1 if sentiment > 0 else -1]
    shade = f"{'p' if sentiment > 0 else 'n'}{1 + min(LEVELS - 1, steps)}"
    return f"{shade} {direction}", f'<span class="sign" aria-hidden="true">{sign}</span>'
