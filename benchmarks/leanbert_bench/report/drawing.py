"""How the report's plots look: sizes, colours, markers, axes and bars, drawn by matplotlib.

Each plot is drawn in stand-in colours, and :mod:`leanbert_bench.report.svg` replaces them by CSS
variables, so that one drawing suits a light and a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leanbert_bench.report.svg import COLOURS, SERIES, inline_svg
from leanbert_bench.results.access import Entry, name_of

_WIDTH = 4.8  # inches of 72 points: about a phone's width, so that no text shrinks there
_FAMILIES = (
    "leanbert", "pytorch", "transformers", "optimum", "openvino", "ctranslate2", "torchao",
)  # fmt: skip
_MARKERS = "osD^vPX*<>hd"

STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud and searched
    "font.size": 10.5,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["text"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "text.color": COLOURS["text"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["text"],
    "ytick.labelcolor": COLOURS["text"],
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Key:
    """One entry of a plot's legend."""

    name: str
    colour: str
    """A stand-in of :mod:`leanbert_bench.report.svg`."""
    marker: str = ""
    """Matplotlib's letter; empty for none."""
    dashes: str = ""
    """SVG's ``stroke-dasharray``; empty for a solid line, ``none`` for no line."""
    filled: bool = True


@dataclass(frozen=True)
class Plot:
    """One plot of the page."""

    name: str
    """Its id, in lower case without spaces."""
    title: str
    text: str
    """What it shows, in words, for those who do not see it."""
    svg: str
    """One ``<svg>`` element."""
    legend: tuple[Key, ...] = ()
    """The names of its lines or points."""


def colour(backend: Entry) -> str:
    """Return the stand-in colour of a back end's family."""
    family = str(backend.get("family"))
    return SERIES[_FAMILIES.index(family) if family in _FAMILIES else len(SERIES) - 1]


def markers_of(backends: Sequence[Entry]) -> dict[str, str]:
    """Return a marker per back end, so that no family is known by its colour alone."""
    counts: dict[str, int] = {}
    found = {}
    for item in backends:
        family = str(item.get("family"))
        found[item["id"]] = _MARKERS[counts.get(family, 0) % len(_MARKERS)]
        counts[family] = counts.get(family, 0) + 1
    return found


def new_axes(height: float) -> tuple[Any, Any]:
    """Return a matplotlib figure of so many inches, and its axes."""
    # No pyplot: it would keep every figure, and look for a screen.
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
    return canvas, canvas.add_subplot()


def count(drawn: Sequence[Entry]) -> str:
    """Write how many back ends there are."""
    return f"{len(drawn)} back end{'s' if len(drawn) != 1 else ''}"


def dash_pattern(widths: str) -> tuple[int, tuple[float, ...]]:
    """Turn SVG's dashes into matplotlib's."""
    return 0, tuple(map(float, widths.split()))


def bars(drawn: Sequence[Entry], lengths: Sequence[float], label: str) -> tuple[Any, Any]:
    """Draw horizontal bars, the first back end on top, each with its name and number above it.

    Names beside the bars would leave no room for the bars on a phone.
    """
    canvas, axes = new_axes(0.9 + 0.46 * len(drawn))
    axes.barh(
        range(len(drawn)), lengths, height=0.42,
        color=[colour(item) for item in drawn], alpha=0.85,
    )  # fmt: skip
    for i, (item, length) in enumerate(zip(drawn, lengths, strict=True)):
        axes.annotate(
            f"{name_of(item)}: {label.format(length)}", (0, i), xytext=(2, 8.5),
            textcoords="offset points", va="bottom", fontsize=9, color=COLOURS["text"],
            annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks([])
    axes.set_ylim(len(drawn) - 0.6, -0.9)
    axes.grid(visible=False, axis="y")
    return canvas, axes


def plain_log_ticks(axis: Any) -> None:
    """Label an axis with 1, 2, 5, 10, 20 … as plain numbers, without minor ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def finished(canvas: Any, name: str, title: str, text: str, legend: Sequence[Key] = ()) -> Plot:
    """Turn a matplotlib figure into a plot for the page."""
    return Plot(name, title, text, inline_svg(canvas, name, title, text), tuple(legend))
