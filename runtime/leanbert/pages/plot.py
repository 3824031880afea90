"""The running mean of scores from -1 to 1 as a small drawing, with each score as a bar.

The drawing alone is SVG, which may be stretched to any width; the numbers of its axes are ordinary
text of the page, so that they stay readable on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from leanbert.pages.text import escaped, signed

__all__ = ["running_mean", "running_means"]

_MOST_BARS = 600


def running_means(values: Sequence[float]) -> list[float]:
    """The mean of the first value, of the first two, and so on."""
    return [total / count for count, total in enumerate(accumulate(values), 1)]


def running_mean(values: Sequence[float], word: str) -> str:
    """The figure.

    Args:
        values: at least one, each from -1 to 1.
        word: what has these values: ``"sentence"``, for example.
    """
    means = running_means(values)
    low, high = min(means), max(means)
    said = (
        f"Running mean of the sentiment over {len(values):,} {escaped(word)}s: it ends at "
        f"{signed(means[-1])}, its highest is {signed(high)} ({escaped(word)} "
        f"{means.index(high) + 1:,}), its lowest {signed(low)} ({escaped(word)} "
        f"{means.index(low) + 1:,})."
    )
    bars, line = _thinned(values, means)
    width = len(bars)
    return (
        f"<figure>\n<figcaption>{said} Bars are single {escaped(word)}s.</figcaption>\n"
        '<div class="plot" aria-hidden="true">\n'
        '<div class="axis"><span>+1</span><span>0</span><span>\u22121</span></div>\n'
        f'<svg viewBox="0 -1 {width} 2" preserveAspectRatio="none" focusable="false">'
        f'<path class="gains" d="{_bars(bars, 1)}"/>'
        f'<path class="losses" d="{_bars(bars, -1)}"/>'
        f'<path class="zero" d="M0 0H{width}"/>'
        f'<path class="mean" d="{_line(line)}"/></svg>\n'
        f'<div class="below"><span>{escaped(word)} 1</span><span>{len(values):,}</span></div>\n'
        "</div>\n</figure>\n"
    )


def _thinned(values: Sequence[float], means: Sequence[float]) -> tuple[list[float], list[float]]:
    """At most ``_MOST_BARS`` of each: neighbours' mean, and the running mean after them."""
    size = -(-len(values) // _MOST_BARS)
    groups = [values[at : at + size] for at in range(0, len(values), size)]
    ends = [min(at + size, len(values)) - 1 for at in range(0, len(values), size)]
    return [sum(group) / len(group) for group in groups], [means[end] for end in ends]


def _bars(values: Sequence[float], sign: int) -> str:
    gap = 0.12 if len(values) < 200 else 0
    return "".join(
        f"M{i + gap:g} 0H{i + 1 - gap:g}V{-value:.3f}H{i + gap:g}z"
        for i, value in enumerate(values)
        if value * sign > 0
    )


def _line(means: Sequence[float]) -> str:
    points = [f"{i + 0.5:g} {-mean:.3f}" for i, mean in enumerate(means)]
    if len(points) == 1:
        points = [f"0 {-means[0]:.3f}", f"1 {-means[0]:.3f}"]
    return f"M{points[0]}L" + " ".join(points[1:])
