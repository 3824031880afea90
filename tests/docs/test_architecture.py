"""The page on architecture tells the way of one text truly."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from tests.runtime.test_imports import LAYERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\| (\d) \| `(?:\w+\.)?(\w+)` \| `([\w./]+)` \|", re.MULTILINE)


def test_one_text_passes_the_functions_of_the_table_in_their_order(classify: Any) -> None:
    passed: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parts[-2:-1] == ("pipelines",):
            passed.append((frame.f_code.co_name, str(path.relative_to(ROOT))))

    sys.setprofile(note)
    try:
        classify("Profit rose.")
    finally:
        sys.setprofile(None)
    steps = [(name, file) for _, name, file in STEP.findall(PAGE)]
    assert len(steps) == 5
    assert [step for step in passed if step in steps] == steps


def test_the_layers_are_those_that_the_imports_keep() -> None:
    [drawn] = [
        block.splitlines()
        for block in re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        if block.startswith("cli\n")
    ]
    assert len(drawn) == len(LAYERS)
    for line, layer in zip(drawn, LAYERS, strict=True):  # small modules may be left out
        assert {f"leanbert.{name}" for name in line.split(", ")} <= layer
