"""Pages in a real browser: light and dark, wide and narrow, by keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.pages import Page
from leanbert.pages.style import DARK, LIGHT
from tests.helpers.browser import measured

REPORT = """Report of the board

Operating profit rose to EUR 13.1 mn from EUR 8.7 mn, representing 7.7 percent of net sales. Net
sales grew by 12 percent. Sales in the U.S. fell by 4 percent, however.

The company is based in Espoo. We expect the full-year result to exceed last year's.
"""
HOSTILE = "<script>hacked = true</script><img src=x onerror='hacked = true'>" + "word" * 60


@pytest.fixture(scope="module")
def html() -> str:
    """A page with every kind of section."""
    classify = pipeline("text-classification", threads=1)
    made = Page("A <b>report</b>")
    made.add(REPORT, classify.explain(REPORT, split="sentences"), "report.txt")
    for text in (HOSTILE, "Sales fell."):
        made.add(text, classify(text, top_k=None))
    made.add(HOSTILE, {"label": HOSTILE, "score": 0.9})
    made.add("Nokia", [{"entity_group": HOSTILE, "score": 1.0, "word": "", "start": 0, "end": 5}])
    answer = {"score": 0.8, "start": 0, "end": 5, "answer": "Nokia"}
    made.add({"question": HOSTILE, "context": "Nokia cut jobs."}, answer)
    made.add("OPEC met.", {"sequence": "OPEC met.", "labels": ["oil"], "scores": [0.9]})
    return made.html()


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_a_browser_shows(html: str, tmp_path: Path, dark: bool) -> None:
    for found in measured(html, tmp_path, dark=dark, widths=[1000, 360]):
        check(found, DARK if dark else LIGHT)


def check(found: dict[str, Any], theme: dict[str, str]) -> None:
    """Check what the browser says of one frame."""
    assert found["title"] == "A <b>report</b>"
    assert found["back"] == rgb(theme["back"])
    assert found["overflow"] == 0, f"wider than {found['width']} pixels"
    assert not found["ran"] and not found["loaded"]
    least, text = found["contrast"]
    assert least >= 4.5, text
    parts = found["parts"]
    assert len(parts) == 6 + 3
    for before, focused, active, inside, _ in parts:
        assert (before, focused, active, inside) == ("none", "block", True, True)
    shades = [shade for *_, shade in parts]
    assert shades[1] == rgb(theme["p4"]) and shades[3] == rgb(theme["n4"])
    assert shades[7] == rgb(theme["n4"])
    assert found["plots"] and all(width > 200 and height > 80 for width, height in found["plots"])
    for said in ("Operating profit", "<script>hacked = true</script>", " cut jobs."):
        assert said in found["said"]


def rgb(colour: str) -> str:
    """A colour as browsers say it."""
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"
