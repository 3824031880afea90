"""studies.memory_growth: its texts, its sizes, its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanbert_bench.run.resident import peak_memory, resident_memory
from studies import memory_growth
from tests.helpers.processes import python

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc here")


def test_texts_are_the_same_each_time_and_of_all_lengths() -> None:
    texts = list(memory_growth.texts(0, 1200))
    assert texts[700:] == list(memory_growth.texts(700, 1200))
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) == 3
    assert 390 < max(lengths) <= 400
    assert 25 < sorted(lengths)[600] < 50


def test_resident_memory_is_what_is_touched() -> None:
    before = resident_memory()
    held = bytearray(b"x" * (64 << 20))
    after, peak = resident_memory(), peak_memory()
    assert before is not None
    assert after is not None
    assert peak is not None
    assert 50 < after - before < 80
    assert peak >= after
    del held


def test_the_command(tiny_bundle: Path, tmp_path: Path) -> None:
    study = ["-m", "studies.memory_growth"]
    words = [*study, tiny_bundle, "--first", 50, "--last", 200, "--threads", 2]
    done = python([*words, "--json"], tmp_path)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["mode"] for row in found] == ["latency", "throughput"], done.stderr
    for row in found:
        assert row["ratio"] == pytest.approx(row["rss_last"] / row["rss_first"])
        assert 20 < row["rss_first"] <= row["peak"]
    done = python([*words, "--mode", "throughput"], tmp_path)
    assert done.stdout.count("\n") == 2
    assert "throughput" in done.stdout
    assert python([*study, tmp_path / "no"], tmp_path).returncode == 1
    assert python([*study, tiny_bundle, "--first", 9, "--last", 9], tmp_path).returncode == 2
