"""benchmarks/memory_growth.py: its texts, its sizes, its command."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

import memory_growth
from tests.helpers.processes import ROOT, python

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc here")
SCRIPT = ROOT / "benchmarks" / "memory_growth.py"


def test_texts_are_the_same_each_time_and_of_all_lengths() -> None:
    texts = list(islice(memory_growth.texts(), 1000))
    assert texts == list(islice(memory_growth.texts(), 1000))
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) == 3
    assert 390 < max(lengths) <= 400
    assert 25 < sorted(lengths)[500] < 50


def test_resident_memory_is_what_is_touched() -> None:
    before = memory_growth.resident("VmRSS")
    held = bytearray(b"x" * (64 << 20))
    assert 50 < memory_growth.resident("VmRSS") - before < 80
    assert memory_growth.resident("VmHWM") >= memory_growth.resident("VmRSS")
    del held
    with pytest.raises(OSError, match="has no VmNo"):
        memory_growth.resident("VmNo")


def test_the_command(tiny_bundle: Path, tmp_path: Path) -> None:
    words = [SCRIPT, tiny_bundle, "--first", 50, "--last", 200, "--threads", 2]
    done = python([*words, "--json"], tmp_path)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["mode"] for row in found] == ["latency", "throughput"], done.stderr
    for row in found:
        assert row["ratio"] == pytest.approx(row["rss_last"] / row["rss_first"])
        assert 20 < row["rss_first"] <= row["peak"]
    done = python([*words, "--mode", "throughput"], tmp_path)
    assert done.stdout.count("\n") == 2
    assert "throughput" in done.stdout
    assert python([SCRIPT, tmp_path / "no"], tmp_path).returncode == 1
    assert python([SCRIPT, tiny_bundle, "--first", 9, "--last", 9], tmp_path).returncode == 2
