"""``report.html``: one self-contained file without scripts, for small and large, light and dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from leanbert_bench.report.noise import all_warnings
from leanbert_bench.report.plots import plots
from leanbert_bench.report.prose import (
    FLIP_COLUMNS,
    facts,
    flip_row,
    flips,
    repeat,
    standing_out,
    title,
)
from leanbert_bench.report.svg import VARIABLES
from leanbert_bench.report.tables import all_tables
from leanbert_bench.results.access import Results, troubles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leanbert_bench.report.drawing import Key, Plot


# The series' colours keep a contrast of 3:1 to their background, and differ in lightness too.
_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --raised: #f5f6f8; --text: #1a1d21;
  --muted: #6b7280; --grid: #e3e6ea; --line: #d5d9df; --warn: #8a4b00;
  --series-0: #d1242f; --series-1: #6e7781; --series-2: #3d444d; --series-3: #0969da;
  --series-4: #8250df; --series-5: #1a7f37; --series-6: #9a6700; --series-7: #bf3989; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171b; --raised: #1e2228; --text: #e8eaed; --muted: #9aa3ad;
    --grid: #2a2f36; --line: #3a4048; --warn: #f0b35a;
    --series-0: #ff6b70; --series-1: #9aa3ad; --series-2: #d0d5db; --series-3: #58a6ff;
    --series-4: #b78cff; --series-5: #4cc965; --series-6: #e0b040; --series-7: #f283c0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p, li, dd { overflow-wrap: anywhere; max-width: 75ch; }
.note { color: var(--muted); font-size: .9rem; }
.warnings { color: var(--warn); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: var(--muted); } dd { margin: 0; }
.figures { display: grid; gap: 1rem;
  align-items: start; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--raised); border-radius: .5rem; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
figure .note { margin: .25rem 0 0; font-weight: 400; font-size: .85rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 34rem; margin: 0 auto; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .4rem 0 0;
  padding: 0; font-size: .85rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.legend svg { width: 1.95rem; height: .9rem; margin: 0; flex: none; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: separate; border-spacing: 0; min-width: 100%; font-size: .85rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap; }
tbody th, tbody td { border-top: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; white-space: normal;
  min-width: 4.5rem; }
tbody th { text-align: left; font-weight: 500; position: sticky; left: 0; background: var(--back);
  white-space: normal; min-width: 8.5rem; max-width: 14rem; }
.words td, .words thead th { text-align: left; } .words td { white-space: normal; min-width: 9rem; }
details { margin: .5rem 0; } summary { cursor: pointer; margin-bottom: .3rem; }
pre { overflow-x: auto; padding: .75rem; background: var(--raised); border-radius: .5rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { figure, .scroll { break-inside: avoid; } }
"""

# Marks of the legend in a box of 26 x 12, where matplotlib's own would need its whole drawing.
_MARKS = {
    "o": '<circle cx="13" cy="6" r="3.5"/>',
    "s": '<rect x="10" y="3" width="6" height="6"/>',
    "D": '<path d="M13 2l4 4-4 4-4-4z"/>',
    "^": '<path d="M13 2l4 7.5H9z"/>',
    "v": '<path d="M13 10l4-7.5H9z"/>',
}
_OTHER_MARK = '<path d="M10 3l6 6M16 3l-6 6"/>'


def html(results: Results) -> str:
    """Return the whole page.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return "\n".join(_page(results)) + "\n"


def _page(results: Results) -> Iterator[str]:
    name = escape(title(results))
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>"
    yield f"<h1>{name}</h1>"
    yield from _list("What stands out", standing_out(results))
    yield from _list("Warnings", all_warnings(results), "warnings")
    yield from _list("Without a result", troubles(results))
    drawn = plots(results)
    if drawn:
        yield '<h2>Plots</h2>\n<div class="figures">'
        yield from map(_figure, drawn)
        yield "</div>"
    for table in all_tables(results):
        yield f'<h2 id="table-{table.name}">{escape(table.title)}</h2>'
        yield f'<p class="note">{escape(table.note)}</p>'
        yield from _table(table.title, table.columns, table.rows, words=table.name == "settings")
    flipped = flips(results)
    if flipped:
        yield '<h2 id="flips">Flipped labels</h2>'
    for heading, listed in flipped:
        yield f"<details>\n<summary>{escape(heading)}</summary>"
        rows = [flip_row(flip) for flip in listed]
        yield from _table(f"Flipped labels, {heading}", FLIP_COLUMNS, rows, words=True)
        yield "</details>"
    yield "<h2>Conditions</h2>\n<dl>"
    yield from (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts(results))
    yield f"</dl>\n<h2>How to repeat it</h2>\n<pre>{escape(repeat(results))}</pre>"
    yield "</main>\n</body>\n</html>"


def _list(heading: str, lines: Sequence[str], kind: str = "") -> Iterator[str]:
    if lines:
        attribute = f' class="{kind}"' if kind else ""
        items = "".join(f"<li>{escape(line)}</li>\n" for line in lines)
        yield f"<h2>{heading}</h2>\n<ul{attribute}>\n{items}</ul>"


def _figure(plot: Plot) -> str:
    legend = "".join(f"<li>{_key(key)}{escape(key.name)}</li>\n" for key in plot.legend)
    return (
        f'<figure id="{plot.name}">\n<figcaption>{escape(plot.title)}</figcaption>\n'
        f"{plot.svg}\n"
        + (f'<ul class="legend">{legend}</ul>\n' if legend else "")
        + f'<p class="note">{escape(plot.text)}</p>\n</figure>'
    )


def _key(key: Key) -> str:
    colour = VARIABLES[key.colour]
    # Half the box is about one line width of the plot.
    widths = [2 * float(width) for width in key.dashes.split() if key.dashes != "none"]
    dashes = f' stroke-dasharray="{" ".join(map(str, widths))}"' if widths else ""
    line = "" if key.dashes == "none" else f'<path d="M0 6h26"{dashes}/>'
    mark = _MARKS.get(key.marker, _OTHER_MARK) if key.marker else ""
    return (
        f'<svg viewBox="0 0 26 12" aria-hidden="true" fill="{colour if key.filled else "none"}" '
        f'stroke="{colour}" stroke-width="1.6">{line}{mark}</svg>'
    )


def _table(
    label: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False
) -> Iterator[str]:
    # A box that scrolls must be reachable by keyboard, and then says what it is.
    kind = "scroll words" if words else "scroll"
    yield f'<div class="{kind}" tabindex="0" role="group" aria-label="{escape(label)}">\n<table>'
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    yield f"<thead><tr>{head}</tr></thead>\n<tbody>"
    for first, *cells in rows:
        others = "".join(f"<td>{escape(cell) or '–'}</td>" for cell in cells)
        yield f'<tr><th scope="row">{escape(first)}</th>{others}</tr>'
    yield "</tbody>\n</table>\n</div>"
