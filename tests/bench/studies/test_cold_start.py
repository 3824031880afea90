"""The cold start's steps add up, on the tiny bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert_bench.results.schema import read_json
from studies import cold_start


def test_the_steps_of_one_cold_start(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cold.json"
    words = ["--model", str(tiny_bundle), "--engine", "onnxruntime", "--turns", "1"]
    assert cold_start.main([*words, "-o", str(file)]) == 0
    table = capsys.readouterr().out
    found = read_json(file)

    assert found["engine"] == "onnxruntime"
    whole, *steps = found["steps"]
    assert steps[0]["step"] == "interpreter"
    assert steps[-1]["step"] == "answer one text"
    assert all(step["wall_ms"] >= 0 and step["cpu_ms"] >= 0 for step in found["steps"])
    assert whole["wall_ms"] > 10
    assert sum(step["cpu_ms"] for step in steps) > 10

    assert "| load the tokenizer |" in table
    assert cold_start.main(["--table", str(file)]) == 0
    assert capsys.readouterr().out == table


def test_what_cannot_be_measured_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cold_start.main(["--model", str(tmp_path / "no"), "--turns", "1"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("cold_start: -m leanbert predict failed: ")
    assert cold_start.main(["--table", str(tmp_path / "no.json")]) == 1
    assert "no.json: No such file" in capsys.readouterr().err


def test_two_trees_take_turns(tiny_bundle: Path, tmp_path: Path) -> None:
    """The same tree on both sides, so that the right figures are known to lie close together."""
    words = ["--model", str(tiny_bundle), "--engine", "onnxruntime", "--turns", "2"]
    file = tmp_path / "cold.json"
    assert cold_start.main([*words, "--before", str(cold_start._HERE), "-o", str(file)]) == 0
    walls = read_json(file)["turns_ms"]
    assert [len(walls[side]) for side in ("before", "after")] == [2, 2]
    assert min(walls["before"] + walls["after"]) > 10
    line = cold_start.table(read_json(file)).splitlines()[-1]
    assert line.startswith("The whole command took ")
    assert "of its former time (95% interval" in line


def test_a_tree_without_sources_is_one_line(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(tiny_bundle), "--turns", "1", "--before", str(tmp_path)]
    assert cold_start.main(words) == 1
    assert capsys.readouterr().err.endswith(
        ": no checkout of LeanBERT; it has no runtime/leanbert\n"
    )
