from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from leanbert_bench.run import busy


def line(working: int, idle: int, waiting: int) -> str:
    return f"cpu  {working} 0 0 {idle} {waiting} 0 0 0 99 99\ncpu0 1 2 3\n"


def test_busy_cores_are_what_is_neither_idle_nor_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    stat.write_text(line(100, 1000, 50))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(time, "sleep", lambda _: stat.write_text(line(125, 1060, 65)))
    assert busy.cores_busy(stat=stat) == pytest.approx(8 * 25 / 100)


def test_where_nothing_can_be_read_nothing_is_claimed(tmp_path: Path) -> None:
    assert busy.cores_busy(0.0, tmp_path / "none") is None
    still = tmp_path / "stat"
    still.write_text(line(1, 2, 3))
    assert busy.cores_busy(0.0, still) is None
