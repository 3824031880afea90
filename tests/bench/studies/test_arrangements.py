"""Arrangements of processes: their names, their rates, and their table."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert_bench.results.schema import read_json, write_json
from studies import arrangements
from studies.arrangements import Arrangement


def test_names_say_what_is_different() -> None:
    names = [one.name for one in arrangements.arrangements(2)]
    assert "1 process, throughput, threads=None" in names
    assert "1 process, throughput, threads=4" in names
    assert "2 processes, throughput, threads=1" in names
    assert "1 process, latency, threads=None, 2 pipelines at once" in names
    free = [one.name for one in arrangements.arrangements(2) if one.quota is None]
    assert len(set(free)) == len(free)


def test_two_processes_begin_together_and_both_count() -> None:
    texts = ["Profit rose.", "Sales fell."]
    with arrangements.started(Arrangement(2, "latency", 1), texts, None) as processes:
        assert len(processes) == 2
        assert arrangements.rate(processes, 4) > 0
        assert arrangements.rate(processes, 4) > 0  # a turn of its own
    assert all(process.returncode is not None for process in processes)


def test_a_group_that_cannot_be_made_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrangements, "_CGROUP", tmp_path / "no")
    with arrangements.quota_group(1.5) as group:
        assert group is None


@pytest.mark.parametrize(
    ("old", "file", "content"),
    [(True, "cpu/{}/cpu.cfs_quota_us", "150000"), (False, "{}/cpu.max", "150000 100000")],
)
def test_a_group_has_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool, file: str, content: str
) -> None:
    monkeypatch.setattr(arrangements, "_CGROUP", tmp_path)
    if old:
        (tmp_path / "cpu").mkdir()
    with arrangements.quota_group(1.5) as group:
        assert group is not None
        name = group.parent.name
        assert (tmp_path / file.format(name)).read_text() == content


def test_the_table_compares_with_the_best_of_the_same_quota(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        "leanbert": "1.0",
        "cpu": "A CPU",
        "cores": 2,
        "texts": {"name": "news.csv", "count": 1000},
        "texts_per_s": {
            "no quota": {"a": [100.0, 100.0], "b": [50.0, 60.0]},
            "a quota of 1.5 cores": {"a": [70.0, 70.0]},
        },
    }
    write_json(tmp_path / "found.json", found)
    assert read_json(tmp_path / "found.json") == found
    assert arrangements.main(["--table", str(tmp_path / "found.json")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| arrangement | texts per second | of the best |",
        "| --- | --- | --- |",
        "| no quota: a | 100 | 1.00 |",
        "| no quota: b | 55 | 0.55 |",
        "| a quota of 1.5 cores: a | 70 | 1.00 |",
        "",
        "LeanBERT 1.0, embedded model, A CPU, 2 cores, 1,000 texts of news.csv for each pipeline, "
        "2 turns.",
    ]
