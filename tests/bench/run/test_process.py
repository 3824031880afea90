from __future__ import annotations

import time
from pathlib import Path

import pytest

from leanbert_bench.run.process import WorkerError, WorkerProcess, WorkerTimeoutError


def test_a_worker_goes_on_after_an_error_and_ends_with_its_pipe() -> None:
    with WorkerProcess("tests.helpers.bench_fakes:Fake", 1) as worker:
        with pytest.raises(WorkerError, match="failed during offline: RuntimeError"):
            worker.ask("offline", items=["x"], warmup=1)
        assert set(worker.ask("memory")) == {"peak_mib", "rss_mib"}
    assert worker.returncode == 0


def test_a_back_end_that_does_not_exist_is_one_line() -> None:
    with (
        WorkerProcess("tests.helpers.bench_fakes:NoSuch", 1) as worker,
        pytest.raises(WorkerError, match=r"died during memory: exit code 1 .*NoSuch") as caught,
    ):
        worker.ask("memory")
    assert "\n" not in str(caught.value)


def test_a_hang_is_ended_at_the_time_limit(tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    load = {"model": str(tmp_path), "task": "text-classification", "threads": 1, "items": ["x"]}
    with WorkerProcess("tests.helpers.bench_fakes:Hangs", 1) as worker:
        worker.ask("load", 30.0, **load)
        begin = time.monotonic()
        with pytest.raises(WorkerTimeoutError, match=r"no answer to offline within 0 s"):
            worker.ask("offline", 0.3, items=["x", "y"], warmup=1)
        assert time.monotonic() - begin < 60  # and not the ten minutes that it sleeps
    assert worker.returncode is not None
