"""How a page looks: on a screen of any width, light or dark, and on paper.

Text has a contrast of at least 4.5 to what it stands on, in both themes (a test computes it).
Nothing is said by a colour alone: parts have signs, marks have labels, opposing words are dotted.
"""

from __future__ import annotations

__all__ = ["DARK", "KINDS", "LEVELS", "LIGHT", "STYLE"]

LEVELS = 4
"""Shades of a positive and of a negative text."""
KINDS = 6
"""Colours of labels that are neither."""

LIGHT = {
    "back": "#ffffff", "raised": "#f3f5f7", "text": "#1a1d21", "muted": "#59616b",
    "line": "#d5d9df", "positive": "#1a7f37", "negative": "#c62828", "focus": "#0969da",
    "p1": "#e6f4ea", "p2": "#c4e7cf", "p3": "#9bd8b0", "p4": "#6cc791",
    "n1": "#fdeaea", "n2": "#fbcfcf", "n3": "#f7adad", "n4": "#f08b8b",
    "k0": "#d7e8fd", "k1": "#fde3c4", "k2": "#e5dcfb", "k3": "#cfeed6", "k4": "#fbd5e6",
    "k5": "#e2e5e9",
}  # fmt: skip
"""The colours of the light theme."""

DARK = {
    "back": "#14171b", "raised": "#1f242a", "text": "#e8eaed", "muted": "#a3acb6",
    "line": "#3a4048", "positive": "#4cc965", "negative": "#ff7b80", "focus": "#58a6ff",
    "p1": "#17281d", "p2": "#1a3a26", "p3": "#1c4d30", "p4": "#1d613b",
    "n1": "#2e1b1c", "n2": "#472021", "n3": "#632628", "n4": "#7f2c2f",
    "k0": "#173a63", "k1": "#57390f", "k2": "#3b2c68", "k3": "#17472a", "k4": "#5c1f3d",
    "k5": "#3a4048",
}  # fmt: skip
"""The colours of the dark theme."""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


_SHADES = "\n".join(
    f".{name} {{ background: var(--{name}); }}"
    for name in [
        *(f"{sign}{level}" for sign in "pn" for level in range(1, LEVELS + 1)),
        *(f"k{number}" for number in range(KINDS)),
    ]
)

STYLE = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
* {{ box-sizing: border-box; }}
html {{ scroll-padding-bottom: 6rem; }}
body {{ margin: 0 auto; padding: 1rem 1rem 7rem; max-width: 52rem; background: var(--back);
  color: var(--text); font: 1.0625rem/1.65 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 1rem; }}
h2 {{ font-size: 1.15rem; line-height: 1.3; margin: 0 0 .25rem; }}
a {{ color: var(--focus); }}
:focus-visible {{ outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 2px; }}
.skip {{ position: absolute; left: -99rem; }} .skip:focus {{ position: static; }}
.hidden {{ user-select: none; position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }}
.note {{ color: var(--muted); font-size: .9rem; margin: .25rem 0 1rem; }}
.verdict {{ margin: .25rem 0 .75rem; }} .verdict b {{ font-size: 1.05rem; }}
article {{ margin: 2rem 0; padding-top: 1.25rem; border-top: 1px solid var(--line); }}
.part {{ padding: .08em .2em; border-radius: .25em;
  -webkit-box-decoration-break: clone; box-decoration-break: clone; }}
.part {{ cursor: help; }} .part.even {{ padding: 0; }}
.sign {{ font-size: .7em; margin-right: .25em; }}
.tip {{ display: none; position: fixed; z-index: 1; left: 0; right: 0; bottom: 0;
  padding: .6rem 1rem; background: var(--raised); color: var(--text);
  border-top: 2px solid var(--line); font-size: .95rem; line-height: 1.4; text-align: center;
  max-height: 40vh; overflow: auto; font-variant-numeric: tabular-nums; }}
.part:focus > .tip {{ display: block; }} .part:hover > .tip {{ display: block; z-index: 2; }}
mark {{ color: inherit; padding: .1em .25em; border-radius: .3em; background: var(--k0);
  -webkit-box-decoration-break: clone; box-decoration-break: clone; }}
.tag {{ font-size: .72em; font-weight: 650; letter-spacing: .02em; margin-left: .4em;
  font-variant-numeric: tabular-nums; user-select: none; }}
.tag.first {{ margin: 0 .4em 0 0; }}
.word {{ text-decoration: underline 1px solid currentColor; text-underline-offset: .2em; }}
.word.against {{ text-decoration-style: dotted; }}
.word.w2 {{ text-decoration-thickness: 2.5px; }}
.word.w3 {{ text-decoration-thickness: 4px; font-weight: 650; }}
{_SHADES}
ol.rows {{ padding: 0; list-style: none; }}
.row {{ display: flex; gap: .75rem; align-items: baseline; justify-content: space-between;
  margin: .35rem 0; }}
.row > .body {{ flex: 1; }}
.row > .score {{ flex: 0 1 auto; max-width: 45%; text-align: right; font-size: .9rem;
  font-variant-numeric: tabular-nums; }}
figure {{ margin: .75rem 0 1rem; padding: .75rem; background: var(--raised);
  border-radius: .5rem; }}
figcaption {{ font-size: .9rem; margin-bottom: .5rem; }}
.plot {{ display: grid; grid-template-columns: max-content 1fr; gap: 0 .6rem; font-size: .8rem;
  color: var(--muted); line-height: 1.1; }}
.plot > .axis {{ display: flex; flex-direction: column; justify-content: space-between;
  text-align: right; }}
.plot > .below {{ grid-column: 2; display: flex; justify-content: space-between;
  margin-top: .3rem; }}
.plot svg {{ display: block; width: 100%; height: 8rem; overflow: visible; }}
.plot path {{ vector-effect: non-scaling-stroke; fill: none; }}
.plot .gains {{ fill: var(--positive); opacity: .85; }}
.plot .losses {{ fill: var(--negative); opacity: .85; }}
.plot .zero {{ stroke: var(--muted); stroke-width: 1; }}
.plot .mean {{ stroke: var(--text); stroke-width: 2.5; stroke-linejoin: round; }}
.key {{ list-style: none; margin: .25rem 0 1rem; padding: 0; display: flex; flex-wrap: wrap;
  gap: .3rem 1rem; font-size: .9rem; }}
.key span:not(.word) {{ padding: .1em .4em; border-radius: .25em; }}
details {{ margin: .75rem 0; }} summary {{ cursor: pointer; }}
.scroll {{ overflow-x: auto; margin-top: .5rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .88rem; line-height: 1.4;
  font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .5rem; text-align: right; vertical-align: top; white-space: nowrap; }}
th {{ color: var(--muted); font-weight: 600; }}
tbody tr {{ border-top: 1px solid var(--line); }}
td.words, th.words {{ text-align: left; white-space: normal; min-width: 6rem; }}
footer {{ margin-top: 2.5rem; color: var(--muted); font-size: .85rem; }}
@media (max-width: 34rem) {{
  body {{ font-size: 1rem; }} .row {{ flex-direction: column; gap: .1rem; margin: .7rem 0; }}
  .row > .score {{ text-align: left; max-width: none; }} }}
@media print {{ body {{ padding: 0; max-width: none; }} .tip, .skip {{ display: none !important; }}
  figure, tr, .row {{ break-inside: avoid; }}
  .part, mark, .row > .body, .plot path {{ print-color-adjust: exact; }} }}
"""
