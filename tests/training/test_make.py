"""The order of the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert_training import distilling, make, stages


def test_stages_run_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def stage(place: int) -> Any:
        def run(*arguments: Any, **_: Any) -> None:
            folder = arguments[place]
            ran.append(folder.name)
            folder.mkdir()

        return run

    monkeypatch.setattr(stages, "make_base", stage(1))
    monkeypatch.setattr(distilling, "make_answers", stage(1))
    monkeypatch.setattr(stages, "make_wide", stage(2))
    monkeypatch.setattr(distilling, "make_narrow", stage(2))
    began: list[str] = []

    def student(_: Path, start: Path, *others: Any) -> None:
        began.append(start.name)
        stage(1)(*others)

    monkeypatch.setattr(distilling, "make_student", student)
    monkeypatch.setattr(distilling, "calibrate", stage(2))
    monkeypatch.setattr(make, "build", stage(2))

    make.make(tmp_path, tmp_path / "work", until="teacher-1")
    assert ran == ["base", "wide", "teacher-1"]
    make.make(tmp_path, tmp_path / "work")
    assert ran == list(make.STAGES)
    assert began == ["narrow", "narrow"]
    assert ran[5:8] == ["narrow", "student-1", "student-2"]
    assert f"[3/{len(ran)}] teacher-1: there already" in capsys.readouterr().out
    (tmp_path / "work" / "wide").rmdir()
    with pytest.raises(ValueError, match="teacher-1 was made after wide"):
        make.make(tmp_path, tmp_path / "work")
