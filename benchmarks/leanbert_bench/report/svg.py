"""From a matplotlib figure to an ``<svg>`` element that a page can hold.

Colours become CSS variables. Ids begin with the plot's name, so that several plots can share a
page. What names places on the web is removed: metadata, name spaces, the document type.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

COLOURS = {"text": "#010101", "muted": "#020202", "grid": "#030303"}
"""Stand-ins of the colours that every plot has."""

SERIES = tuple(f"#0101{i:02x}" for i in range(16, 24))
"""Stand-ins of the colours of the back ends' families; the last is for unknown families."""

VARIABLES = {
    **{colour: f"var(--{name})" for name, colour in COLOURS.items()},
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}
"""What each stand-in becomes; the page's style sheet defines the variables."""

_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SVG = re.compile(r"<svg\b[^>]*>")
_BOX = re.compile(r'viewBox="[^"]*"')
_FONT = re.compile(r"font: (?:\d+ )?(\d+(?:\.\d+)?)px [^;\"]*")


def inline_svg(canvas: Any, name: str, title: str, text: str) -> str:
    """Return the plot as one element that fills the width it is given.

    Args:
        canvas: a matplotlib ``Figure``, drawn in the stand-ins.
        name: the beginning of every id.
        title: what a pointer shows and a screen reader says.
        text: the longer description.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": name}):  # the same numbers give the same file
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawn = _METADATA.sub("", _HEAD.sub("", buffer.getvalue()))
    box = _BOX.search(drawn)
    head = (
        f'<svg {box[0] if box else ""} role="img" '
        f'aria-labelledby="{name}-title {name}-text">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-text">{escape(text)}</desc>'
    )
    drawn = _own_ids(drawn, name)
    drawn = _SVG.sub(lambda _: head, drawn, count=1)
    drawn = _FONT.sub(r"font-size: \1px", drawn)  # the page's font, in the drawing's size
    for colour, variable in VARIABLES.items():
        drawn = drawn.replace(colour, variable)
    return drawn.strip()


def _own_ids(drawn: str, name: str) -> str:
    drawn = re.sub(r'(?<=\bid=")', f"{name}-", drawn)
    drawn = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', drawn)
    return drawn.replace("url(#", f"url(#{name}-")
