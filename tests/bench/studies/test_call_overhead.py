"""The study of a call's overhead: what it times adds up, and wrong trees are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanbert.bundle import Bundle
from leanbert.engines.native import binding
from leanbert.tokenization import Tokenizer
from leanbert_models import default_model
from studies import call_overhead
from tests.helpers.processes import ROOT

FEW = ["--turns", "2", "--calls", "3", "--texts", "20", "--threads", "1"]


@pytest.fixture
def _library() -> None:
    if (reason := binding.why_no_library()) is not None:
        pytest.skip(f"no native engine here: {reason}")


def test_the_headline_has_the_tokens_that_are_printed() -> None:
    tokenizer = Tokenizer.of(Bundle.open(default_model()))
    assert tokenizer.encode([call_overhead.HEADLINE]).lengths.tolist() == [call_overhead.TOKENS]


@pytest.mark.usefixtures("_library")
def test_the_parts_of_a_call_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert call_overhead.main(["--before", str(ROOT), "--json", *FEW]) == 0
    found = json.loads(capsys.readouterr().out)
    for side in ("before", "after"):
        parts = found[side]["parts_ms"]
        assert set(parts) == set(call_overhead.PARTS)
        assert all(len(values) == 2 and min(values) > 0 for values in parts.values())
        for call, engine, tokenizer in zip(
            parts["call"], parts["engine"], parts["tokenizer"], strict=True
        ):
            assert max(engine, tokenizer) < call
        assert min(found[side]["texts_per_second"]) > 0


@pytest.mark.usefixtures("_library")
def test_the_table_names_both_trees(capsys: pytest.CaptureFixture[str]) -> None:
    assert call_overhead.main(["--before", str(ROOT), *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("one headline of 30 tokens")
    assert lines[2].split()[:2] == ["before", "after"]
    assert [line.split(",")[0] for line in lines[3:7]] == list(call_overhead.PARTS)
    assert lines[7].startswith("texts per second")


def test_a_tree_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_overhead.main(["--before", str(tmp_path), *FEW]) == 1
    assert "give the root of a checkout" in capsys.readouterr().err
    for part in ("runtime/leanbert", "models/leanbert_models"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "runtime/leanbert/__init__.py").write_text("raise SystemExit(3)\n")
    assert call_overhead.main(["--before", str(tmp_path), *FEW]) == 1
    assert "its process ended" in capsys.readouterr().err


def test_texts_come_from_a_file_in_a_fixed_order(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\n\ntwo\nthree\n", encoding="utf-8")
    texts = call_overhead.read_texts(path, 7)
    assert sorted(texts) == ["one", "one", "one", "three", "three", "two", "two"]
    assert call_overhead.read_texts(path, 7) == texts
    assert len(set(call_overhead.read_texts(None, 50))) == 50
    path.write_text("\n")
    with pytest.raises(call_overhead.TreeError, match="has no text"):
        call_overhead.read_texts(path, 7)
