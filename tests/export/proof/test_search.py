"""Matmuls go back to fp32 until the gate holds: how many, which, and what is left if none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanbert.bundle import Bundle
from leanbert.engines import Batch
from leanbert.tokenization import Tokenizer
from leanbert_export.errors import GateError
from leanbert_export.proof import search
from leanbert_export.proof.gate import GateReport
from leanbert_export.proof.search import pass_gate, rank_matmuls

NAMES = [f"layer.{i}.ffn_down" for i in range(6)]
REPORT = GateReport(
    "accuracy", 100, 0.9, 0.9, 0.0, 1.0, passed=True, decisions=100, bytes_before=5, bytes_after=5
)


@dataclass
class FakeGate:
    """A model that loses four points until ``needed`` of its matmuls are in fp32."""

    needed: int

    def measure(self, built: frozenset[str], max_drop: float | None) -> tuple[GateReport, float]:
        drop = 4.0 if len(built) < self.needed else 0.25
        passed = max_drop is None or drop <= max_drop
        size = 1000 + 100 * len(built)
        found = replace(REPORT, int8=0.9 - drop / 100, drop=drop, max_drop=max_drop, passed=passed)
        return replace(found, lost=4, bytes_before=size, bytes_after=size), 2.0 + len(built)


@dataclass
class Attempt:
    needed: int
    max_drop: float | None = 1.0
    names: Sequence[str] = tuple(NAMES)

    def __post_init__(self) -> None:
        self.built: list[list[str]] = []
        self.ranked = 0
        self.steps: list[str] = []

    def build(self, kept: frozenset[str]) -> Any:
        self.built.append(sorted(kept))
        return kept

    def rank(self) -> Sequence[str]:
        self.ranked += 1
        return self.names

    def run(self, *, force: bool = False) -> GateReport:
        fake: Any = FakeGate(self.needed)
        report: GateReport = pass_gate(
            fake,
            self.build,
            max_drop=self.max_drop,
            rank=self.rank,
            force=force,
            on_step=self.steps.append,
        )
        return report


@pytest.mark.parametrize("max_drop", [None, 4.0, 100.0])
def test_it_passes_at_once(max_drop: float | None) -> None:
    attempt = Attempt(3, max_drop)
    report = attempt.run()
    assert report.passed
    assert report.drop == 4.0
    assert report.fp32_matmuls == []
    assert report.slowdown == 1.0
    assert attempt.built == [[]]
    assert attempt.ranked == 0  # ranking is slow
    assert attempt.steps == []


TRIES = [
    (1, [3, 1]),
    (2, [3, 1, 2]),
    (3, [3, 1, 2]),
    (4, [3, 4]),
    (5, [3, 4, 5]),
]


@pytest.mark.parametrize(("needed", "tries"), TRIES)
def test_bisection_returns_as_few_as_possible(needed: int, tries: list[int]) -> None:
    attempt = Attempt(needed)
    report = attempt.run()
    # What is built last is what stays.
    last = [needed] if tries[-1] != needed else []
    assert attempt.built == [[], *(NAMES[:count] for count in (*tries, *last))]
    assert attempt.ranked == 1
    assert report.passed
    assert report.drop == 0.25
    assert report.fp32_matmuls == NAMES[:needed]
    assert report.bytes_before == 1000
    assert report.bytes_after == 1000 + 100 * needed
    assert report.slowdown == (2 + needed) / 2
    assert attempt.steps == [
        "ranking the matmuls by sensitivity",
        *(f"returning {count} of 6 matmuls to fp32" for count in tries),
    ]


@pytest.mark.parametrize("needed", [6, 7])
def test_a_bundle_with_nothing_int8_does_not_pass(needed: int) -> None:
    with pytest.raises(GateError) as caught:
        Attempt(needed).run()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(
        "the accuracy gate does not hold: accuracy drops by 4.00 points (4 of 100 decisions)"
    )
    assert "before all 6 matmuls are in fp32, when nothing is int8" in message
    for flag in ("--max-drop", "--tie-margin", "--force", "--recipe fp32"):
        assert flag in message


def test_force_keeps_every_matmul_in_int8() -> None:
    attempt = Attempt(6)
    report = attempt.run(force=True)
    assert not report.passed
    assert report.fp32_matmuls == []
    assert attempt.built == [[], NAMES[:3], NAMES[:4], NAMES[:5], []]


def test_a_single_matmul_is_never_returned() -> None:
    with pytest.raises(GateError, match="before all 1 matmuls are in fp32"):
        Attempt(1, names=NAMES[:1]).run()


def test_the_line_on_the_card() -> None:
    assert replace(REPORT, max_drop=None).line.startswith("not set; accuracy 90.00% in int8")
    line = Attempt(2).run().line
    assert line.startswith("passed: at most 1 points may be lost; accuracy 89.75% in int8, 90.00%")
    assert line.endswith("; 2 matmuls in fp32 for it, which cost 0.0 MB and +100% time")
    assert Attempt(9).run(force=True).line.startswith("FAILED, written with --force: at most")
    flipped = replace(REPORT, flips=7, firm_flips=2, tie_margin=0.05).line
    assert "7 of 100 decisions differ from PyTorch's, 2 that it held by more than 0.1" in flipped
    assert "ties within 0.05 are not counted as lost" in flipped


def test_matmuls_are_ranked_by_what_they_move(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = {None: 0.0, "a": 0.1, "b": -3.0, "c": 0.0, "d": 0.5}
    seen: list[str] = []

    class Engine:
        def __init__(self, name: Any, engine: str) -> None:
            assert engine == "onnxruntime"
            self.name = name

        def run(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
            return {"logits": np.full((len(batch), 3), moves[self.name], np.float32)}

    tokenizer = Tokenizer.of(Bundle.open(tiny_bundle))
    monkeypatch.setattr(search, "load_engine", Engine)
    monkeypatch.setattr(Tokenizer, "of", lambda _: tokenizer)
    build: Any = lambda name: name  # noqa: E731
    found = rank_matmuls(["a", "b", "c", "d"], build, ["profit rose", "it fell"], seen.append)
    assert found == ["b", "d", "a", "c"]
    assert seen == ["a", "b", "c", "d"]
