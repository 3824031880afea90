from __future__ import annotations

from pathlib import Path

import pytest

from leanbert.cli.progress import Progress
from leanbert_bench.runner import Measurement, Spec, WorkerError, WorkerProcess, measure
from leanbert_bench.workload import Workload

TEXTS = ["good one", "bad one", "good two", "bad two"]


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def run(folder: Path, *kinds: str) -> list[Measurement]:
    model = folder / "model"
    model.mkdir()
    (model / "weights").write_bytes(bytes(10))
    specs = [Spec(kind, f"bench_fakes:{kind}", model) for kind in kinds]
    workload = Workload("texts.txt", "0" * 64, 4, TEXTS, None)
    return measure(specs, workload, threads=2, turns=3, sample=2, progress=Progress(None, "steps"))


def test_a_crash_costs_only_its_row(tmp_path: Path) -> None:
    fake, died = run(tmp_path, "Fake", "DiesInTurn")
    assert died.error == "died during turn: exit code 3 (out of luck)"
    assert not died.texts_per_s
    assert fake.error is None
    assert len(fake.texts_per_s) == len(fake.latency_ms) == 3
    assert min(fake.texts_per_s + fake.latency_ms) > 0
    assert [answer["positive"] for answer in fake.answers] == [0.75, 0.25, 0.75, 0.25]
    assert fake.size_bytes == 2_000_000
    assert fake.load_s is not None
    assert fake.load_s > 0
    assert fake.peak_mib is None or 1 < fake.peak_mib < 1000


def test_errors_and_signals_are_told_in_one_line(tmp_path: Path) -> None:
    raised, killed, unknown, fake = run(tmp_path, "RaisesAtLoad", "Killed", "NoSuch", "Fake")
    assert raised.error == "failed during load: ValueError: two lines"
    assert killed.error == "died during load: killed by SIGKILL"
    assert unknown.error is not None
    assert "NoSuch" in unknown.error
    assert "\n" not in unknown.error
    assert fake.error is None


def test_a_worker_goes_on_after_an_error_and_ends_with_its_pipe() -> None:
    with WorkerProcess("bench_fakes:Fake", 1) as worker:
        with pytest.raises(WorkerError, match="failed during turn: RuntimeError"):
            worker.ask("turn", texts=["x"], sample=["x"])
        assert set(worker.ask("memory")) == {"peak_mib"}
    assert worker.returncode == 0
