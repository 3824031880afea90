"""studies.operators: what is said of a profile, and its command on a tiny bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from studies import operators
from tests.helpers.processes import python


def kernel(
    ts: int, dur: int, op: str, start: tuple[int, ...] = (), end: tuple[int, ...] = ()
) -> Any:
    return {
        "cat": "Node",
        "name": f"node_{op}_kernel_time",
        "ts": ts,
        "dur": dur,
        "args": {
            "op_name": op,
            "input_type_shape": [{"float": list(start)}, {}],
            "output_type_shape": [{"float": list(end)}],
        },
    }


def runs() -> Iterator[Any]:
    for i in range(3):  # the first is slow and left out
        at, slow = 10_000 * i, 5 if i == 0 else 1
        yield kernel(at + 1, 100 * slow, "MatMul", (8, 4), (8, 2))
        yield kernel(at + 200, 300 * slow, "MatMul", (8, 4), (8, 16))
        yield kernel(at + 600, 100 * slow, "Add")
        yield {"cat": "Node", "name": "node_Add_fence_before", "ts": at + 2, "dur": 999, "args": {}}
        yield kernel(at + 800, 300 * slow, "Add")
        yield {"cat": "Session", "name": "model_run", "ts": at, "dur": 1_000 * slow + i}


def test_operators_are_summed_without_the_first_runs() -> None:
    rows, run_ms = operators.summarize(runs(), 1)
    assert run_ms == pytest.approx(1.0015)
    assert [row.operator for row in rows] == ["Add", "MatMul 8x4 → 8x16", "MatMul 8x4 → 8x2"]
    assert [row.count for row in rows] == [2, 1, 1]
    assert [row.total_ms for row in rows] == pytest.approx([0.4, 0.3, 0.1])
    assert [row.share for row in rows] == pytest.approx([0.5, 0.375, 0.125])
    assert rows[0].per_call_ms == pytest.approx(0.2)
    with pytest.raises(ValueError, match="3 runs in the profile"):
        operators.summarize(runs(), 3)


def test_small_operators_are_summed_up() -> None:
    rows, run_ms = operators.summarize(runs(), 1)
    found = {
        "shape": "1x8",
        "runs": 2,
        "run_ms": run_ms,
        "operators": [asdict(row) for row in rows],
    }
    lines = operators.markdown(found, 0.4).splitlines()
    assert lines[4] == "| Add | 2 | 0.40 | 50.0% | 0.200 |"
    assert lines[5] == "| 2 others | 2 | 0.40 | 50.0% | |"
    assert len(operators.markdown(found, 0.0).splitlines()) == 7


def test_operators_command(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    bundle = make_bundle(config={"vocab_size": 30})
    words = ["-m", "studies.operators", bundle, "--shapes", "2x8", "--runs", 2]
    done = python([*words, "--threads", 1, "-o", "found.json"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "**2x8**" in done.stdout
    (found,) = json.loads((tmp_path / "found.json").read_text())["shapes"]
    assert sum(row["share"] for row in found["operators"]) == pytest.approx(1, abs=1e-4)
    assert not list(tmp_path.glob("*profile*"))
    words[2] = make_bundle()
    done = python(words, tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no vocab_size" in done.stderr
    done = python(["-m", "studies.operators", tmp_path], tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    done = python(["-m", "studies.operators", "--table", "found.json"], tmp_path)
    assert "**2x8**" in done.stdout
