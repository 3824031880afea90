from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leanbert_bench.run.budget import Budget, expected_preparation, speed_of
from leanbert_bench.run.journal import Journal
from leanbert_bench.run.participants import Bench, Participant
from leanbert_bench.run.plan import QUICK, Plan
from tests.helpers.bench_fakes import Fake, SlowToMake
from tests.helpers.bench_models import SMALL, checkpoint, specs, subject, workload


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "model")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(tmp_path / "partial", {})
    yield found
    found.close()


def bench(plan: Plan, model: Path, journal: Journal, bytes_: int = 440_000_000) -> Bench:
    return Bench(plan, subject(model, bytes=bytes_), workload(), 1, journal)


def test_a_run_without_a_budget_has_its_time_limit_alone(model: Path, journal: Journal) -> None:
    found = Budget(bench(SMALL, model, journal), None)
    assert found.left == math.inf
    assert found.limit == found.limit_to_prepare(1e9) == SMALL.time_limit_s
    (spec,) = specs("Fake")
    assert not found.too_late_for(Participant(spec, Fake), ())


def test_a_budget_shrinks(model: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    plan = replace(QUICK, seconds=100.0, time_limit_s=40.0)
    found = Budget(bench(plan, model, journal), 1000.0)
    (spec,) = specs("Fake")
    who = Participant(spec, Fake)
    assert (found.left, found.limit) == (100.0, 40.0)
    assert found.limit_to_prepare(10.0) == 30.0  # three times what is expected
    assert found.limit_to_prepare(66.0) is None  # later than 65% of the budget
    assert not found.too_late_for(who, ())
    now[0] = 1090.0
    assert (found.left, found.limit) == (10.0, 15.0)
    assert found.limit_to_prepare(0.0) is None
    now[0] = 1099.0
    assert found.too_late_for(who, ())


def test_expectations_grow_with_the_weights_and_the_words(model: Path, journal: Journal) -> None:
    whole, half = bench(SMALL, model, journal), bench(SMALL, model, journal, 220_000_000)
    assert expected_preparation(Fake, whole) == 0
    slow = expected_preparation(SlowToMake, whole)
    assert slow == pytest.approx(2 * expected_preparation(SlowToMake, half))
    words = sorted(len(text.split()) for text in whole.workload.texts)
    assert speed_of(whole).median_tokens == pytest.approx(1.4 * words[len(words) // 2] + 2)
    assert speed_of(whole, {"int8": 2.0, "fp32": 1.0}).peaks["int8"] == 2.0
