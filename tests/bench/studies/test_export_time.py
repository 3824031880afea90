"""studies.export_time: its table, trees that cannot be measured, and one tree against itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert_bench.results.schema import read_json
from studies import export_time
from tests.helpers.processes import ROOT


def one(scale: float, *steps: str, data: str = "aa") -> dict[str, Any]:
    spent = {step: scale * (number + 1) for number, step in enumerate(steps)}
    return {
        "seconds": sum(spent.values()), "steps": spent, "peak_bytes": int(scale * 1e9),
        "sha256": {"model.onnx": "same", "model.onnx.data": data},
    }  # fmt: skip


def test_the_table_gives_shares_and_ratios() -> None:
    steps = "imports", "quantizing"
    found = {
        "exports": {
            "before": [one(2.0, *steps), one(4.0, *steps)],
            "after": [one(1.0, *steps, "writing"), one(2.0, *steps, "writing", data="bb")],
        }
    }
    lines = export_time.table(found).splitlines()
    assert lines[2:5] == [
        "| imports | 3.0 s (33%) | 1.5 s (17%) | |",
        "| quantizing | 6.0 s (67%) | 3.0 s (33%) | |",
        "| writing |  | 4.5 s (50%) | |",
    ]
    assert lines[5].startswith("| **in all** | 9.0 s | 9.0 s | 1.00")
    assert lines[6].startswith("| largest resident size | 3.00 GB | 1.50 GB | 0.500")
    assert lines[7:] == [
        "| `model.onnx` | | | the same bytes |",
        "| `model.onnx.data` | | | different bytes |",
    ]


def test_a_tree_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--before", str(tmp_path), "--checkpoint", str(tmp_path), "--turns", "1"]
    assert export_time.main(words) == 1
    assert "give the root of a checkout" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export_time.main([])


@pytest.mark.slow
def test_a_tree_against_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    file = tmp_path / "found.json"
    words = ["--before", str(ROOT), "--shape", "bert-tiny", "--turns", "1", "--threads", "1"]
    assert export_time.main([*words, "-o", str(file)]) == 0
    assert capsys.readouterr().out.count("the same bytes") == 2
    for side in read_json(file)["exports"].values():
        (found,) = side
        assert found["seconds"] == pytest.approx(sum(found["steps"].values()))
        assert {"imports", "quantizing", "writing the bundle"} <= set(found["steps"])
        assert found["peak_bytes"] > 1e8
