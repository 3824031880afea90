"""studies.repeated_texts: what is streamed, and what is said of the rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert.errors import InputError
from studies import repeated_texts


def test_so_many_texts_repeat_another() -> None:
    texts = [f"text {i}" for i in range(1000)]
    mixed = repeated_texts.with_repeats(texts, 0.3)
    assert len(mixed) == 1000
    assert set(mixed) == set(texts[:700])
    assert repeated_texts.with_repeats(texts, 0.3) == mixed


def test_every_arrangement_is_timed_each_turn(capsys: pytest.CaptureFixture[str]) -> None:
    results = repeated_texts.measure([f"Sales of unit {i} rose." for i in range(120)], "made", 2)
    capsys.readouterr()
    assert {len(turns) for turns in results["texts_per_s"].values()} == {2}
    assert all(rate > 0 for turns in results["texts_per_s"].values() for rate in turns)
    lines = repeated_texts.table(results).splitlines()
    assert lines[3].startswith("| 30% repeats, computed once |")
    assert "×" in lines[3]
    assert "120 texts of made, 2 turns" in lines[-1]


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(InputError, match="2 different texts; at least 100 are needed"):
        repeated_texts.read_texts(path, "text")
