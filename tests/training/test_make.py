"""The order of the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert_training import distilling, make, refining, stages


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The stages that ran, each with the folder that it began with; none computes anything."""
    found: list[tuple[str, str]] = []

    def stage(place: int) -> Any:
        def run(*arguments: Any, **_: Any) -> None:
            folder, before = arguments[place], arguments[place - 1]
            begin = before[0] if isinstance(before, list) else before
            found.append((folder.name, begin.name if isinstance(begin, Path) else str(begin)))
            folder.mkdir()

        return run

    monkeypatch.setattr(stages, "make_base", stage(1))
    monkeypatch.setattr(distilling, "make_answers", stage(1))
    monkeypatch.setattr(stages, "make_wide", stage(2))
    monkeypatch.setattr(distilling, "make_narrow", stage(2))

    def student(_: Path, start: Path, answers: Path, folder: Path, lesson: Any) -> None:
        assert (answers.name, lesson in distilling.LESSONS) == ("answers", True)
        stage(1)(start, folder)

    monkeypatch.setattr(distilling, "make_student", student)
    monkeypatch.setattr(distilling, "calibrate", stage(2))
    monkeypatch.setattr(refining, "make_restored", stage(2))
    monkeypatch.setattr(refining, "make_anchors", stage(2))
    monkeypatch.setattr(refining, "make_lexicon", stage(2))
    monkeypatch.setattr(refining, "make_refined", stage(3))
    monkeypatch.setattr(refining, "make_settled", stage(3))
    monkeypatch.setattr(refining, "make_polished", stage(3))
    monkeypatch.setattr(refining, "calibrate", stage(5))
    monkeypatch.setattr(make, "build", stage(2))
    return found


def test_stages_run_once_and_in_order(
    ran: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make.make(tmp_path, tmp_path / "work", until="teacher-1")
    assert [name for name, _ in ran] == ["base", "wide", "teacher-1"]
    make.make(tmp_path, tmp_path / "work")
    assert [name for name, _ in ran] == list(make.STAGES)
    began = dict(ran)
    assert (began["student-1"], began["student-2"]) == ("narrow", "narrow")
    assert (began["sentiment-fp32"], began["bundle"]) == ("student-1", "sentiment-fp32")
    assert f"[3/{len(ran)}] teacher-1: there already" in capsys.readouterr().out
    (tmp_path / "work" / "wide").rmdir()
    with pytest.raises(ValueError, match="teacher-1 was made after wide"):
        make.make(tmp_path, tmp_path / "work")


def test_a_bundle_is_refined_by_stages_of_its_own(
    ran: list[tuple[str, str]], tmp_path: Path
) -> None:
    start = make.Start(tmp_path / "placed", "ab" * 32)
    with pytest.raises(ValueError, match="no stage wide here; expected one of start"):
        make.make(tmp_path, tmp_path / "work", start=start, until="wide")
    make.make(tmp_path, tmp_path / "work", start=start)
    assert [name for name, _ in ran] == list(make.REFINING)
    began = dict(ran)
    assert (began["start"], began["anchors"], began["lexicon"]) == (start.sha256, "start", "start")
    assert (began["refined"], began["settled"], began["polished"]) == ("anchors",) * 3
    assert (began["refined-fp32"], began["refined-bundle"]) == ("polished", "refined-fp32")
    assert not set(make.REFINING) & set(make.STAGES)


@pytest.mark.parametrize("words", [["--refine", "placed"], ["--sha256", "ab"]])
def test_a_bundle_to_start_from_is_named_with_its_seal(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["make", "--data", "x", *words])
    with pytest.raises(SystemExit) as failed:
        make.main()
    assert failed.value.code == 2
    assert "--refine and --sha256 belong together" in capsys.readouterr().err
