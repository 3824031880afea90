"""The cold start's steps add up, on the tiny bundle."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import cold_start


def test_the_steps_of_one_cold_start(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, engine = cold_start.measure(tiny_bundle, "onnxruntime", 1)

    assert engine == "onnxruntime"
    whole, *steps = rows
    assert steps[0]["step"] == "interpreter"
    assert steps[-1]["step"] == "answer one text"
    assert all(step["wall"] >= 0 and step["cpu"] >= 0 for step in rows)
    assert whole["wall"] > 10
    assert sum(step["cpu"] for step in steps) > 10

    words = ["--model", str(tiny_bundle), "--engine", "onnxruntime", "--turns", "1"]
    assert cold_start.main(words) == 0
    assert "| load the tokenizer |" in capsys.readouterr().out
