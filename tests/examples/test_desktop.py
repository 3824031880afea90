"""The desktop app on a screen: it scores what is typed, and stays responsive while it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.processes import ROOT
from tests.helpers.screens import Screen, screen

APP = ROOT / "examples" / "desktop" / "app.py"

DRIVER = """
import importlib.util, json, sys, time, tkinter
spec = importlib.util.spec_from_file_location("app", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["app"] = module
spec.loader.exec_module(module)
root = tkinter.Tk()
root.geometry("800x600+0+0")
app = module.App(root)
told = {}

def tell(**facts):
    told.update(facts)
    print(json.dumps(told), flush=True)

def marked(label):
    ranges = app.text.tag_ranges(label)
    return [app.text.get(a, b) for a, b in zip(ranges[::2], ranges[1::2])]

def after_done(number, then):
    done = app.number >= number and not app.waiting and app.verdict["text"][-1] != "…"
    if done and sum(app.counts.values()):
        then()
    else:
        root.after(20, after_done, number, then)
"""

TYPED = (
    DRIVER
    + """
TEXT = (
    "Operating profit rose to EUR 13.1 mn. Sales fell. \\U0001f680 \\U0001f680 It is in Espoo. "
    "Costs rose."
)
def typing(rest):
    if rest:
        app.text.insert("end", rest[0])
        root.after(5, typing, rest[1:])
    else:
        after_done(1, finish)

def finish():
    if app.text.get("1.0", "end-1c") != app.started:
        return root.after(20, after_done, app.number, finish)
    tell(verdict=app.verdict["text"], detail=app.detail["text"], numbers=app.number,
         positive=marked("positive"), negative=marked("negative"), neutral=marked("neutral"))
    root.after(200, lambda: (print("shown", flush=True), root.after(60000, root.destroy)))
    root.createfilehandler(sys.stdin, tkinter.READABLE, lambda *_: root.destroy())

root.after(10, typing, TEXT)
root.mainloop()
"""
)

LONG = (
    DRIVER
    + """
report = " ".join(
    f"Sales of unit {n} {'rose' if n % 3 else 'fell'} to EUR {n}.4 mn in May, and the "
    f"board of unit {n} expects that its orders grow."
    for n in range(1250)
)
ticks = []

def tick():
    if told.get("begun") and "cancelled" not in told:
        ticks.append(sum(app.counts.values()))
        app.text.yview_moveto(len(ticks) % 10 / 10)
    root.after(10, tick)

def begin():
    app.show(report)
    told["begun"] = True
    root.after(20, half)

def half():
    if sum(app.counts.values()) < 200:
        return root.after(20, half)
    told["cancelled"] = sum(app.counts.values())
    app.show("Sales fell.")
    after_done(app.number + 1, finish)

def finish():
    def stop():
        tell(verdict=app.verdict["text"], steps=len(set(ticks)), known=len(app.scorer._known),
             sentences=len(module.sentence_spans(report)))
        root.destroy()
    root.after(400, stop)

tick()
app.show("Profit rose.")
after_done(1, begin)
root.mainloop()
"""
)


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Screen]:
    pytest.importorskip("tkinter", reason="this Python has no Tk; install python3-tk")
    with screen(tmp_path) as found:
        yield found


def started(script: str, display: Screen) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, APP],
        env={**os.environ, "DISPLAY": display.display},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def has(pixels: Any, colour: str) -> int:
    """How many pixels have a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int(np.all(pixels == wanted, axis=2).sum())


@pytest.mark.slow
def test_what_is_typed_is_scored_and_marked(display: Screen) -> None:
    app = started(TYPED, display)
    try:
        assert app.stdout is not None
        told = json.loads(app.stdout.readline())
        assert app.stdout.readline() == "shown\n"
        pixels = display.pixels()
        app.communicate("\n", timeout=60)
    finally:
        app.kill()
    assert told["positive"] == ["Operating profit rose to EUR 13.1 mn."]
    assert "Sales fell." in told["negative"]
    assert "It is in Espoo." in "".join(told["neutral"])
    assert told["verdict"].startswith("▲ 1 positive   ▼ ")
    assert told["detail"][:1] in "▲▼•" and "Costs rose." in told["detail"]
    assert pixels.shape == (600, 800, 3)
    assert has(pixels, "#b7e4c7") > 2000 and has(pixels, "#f9c6c6") > 500
    assert app.returncode == 0


@pytest.mark.slow
def test_a_long_report_leaves_the_interface_free_and_a_newer_text_cancels_it(
    display: Screen,
) -> None:
    app = started(LONG, display)
    out, _ = app.communicate(timeout=300)
    assert app.returncode == 0
    told = json.loads(out)
    assert told["sentences"] == 1250
    assert told["steps"] >= 4  # the event loop ran between the first scores and those that followed
    assert told["verdict"] == "▲ 0 positive   ▼ 1 negative   • 0 neutral"
    assert 200 <= told["cancelled"] < 1250
    assert told["known"] < 1250  # what was left of the report was never scored
