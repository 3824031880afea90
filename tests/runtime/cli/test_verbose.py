"""``leanbert predict --verbose``: one line at the end says what computed, and how fast."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import Command

LINE = re.compile(
    r"leanbert: (?P<engine>\w+) engine(?P<isa>, \w+)?, (?P<threads>\d+) threads?, "
    r"mode (?P<mode>\w+): (?P<texts>[\d,]+) texts? in \d+\.\d\d s, [\d,]+ texts per second, "
    r"(?P<repeats>\d+) repeats? computed once\n"
)


def said(err: str) -> dict[str, str | None]:
    found = LINE.fullmatch(err)
    assert found, err
    return found.groupdict()


def test_the_embedded_model_says_its_kernels(command: Command) -> None:
    pytest.importorskip("leanbert_models")
    code, out, err = command("predict", "--verbose", "--threads", 1, "Sales fell.", "Sales fell.")
    assert (code, len(out.splitlines())) == (0, 2)
    found = said(err)
    assert (found["threads"], found["mode"]) == ("1", "latency")
    assert (found["texts"], found["repeats"]) == ("2", "1")
    assert (found["engine"] == "native") == (found["isa"] is not None)


def test_repeats_of_a_file_are_counted(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    source = tmp_path / "news.csv"
    source.write_text("text\n" + "profit rose\na loss\n" * 300 + "sales\n", encoding="utf-8")
    flags = ["--engine", "onnxruntime", "--threads", 2]
    for output in ([], ["-o", tmp_path / "out.csv"]):
        code, _, err = command(*predict, "--verbose", *flags, "-i", source, *output)
        assert code == 0
        assert said(err) == {
            "engine": "onnxruntime", "isa": None, "threads": "2", "mode": "throughput",
            "texts": "601", "repeats": "598",
        }  # fmt: skip
        # Each stands in the output nevertheless.
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 602


def test_rows_that_fail_are_no_texts(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    source = tmp_path / "news.jsonl"
    source.write_text('{"text": "profit"}\n{"text": 5}\n{"text": "loss"}\n', encoding="utf-8")
    words = ["-i", source, "-o", tmp_path / "out.csv", "--max-errors", 1]
    code, _, err = command(*predict, "--verbose", *words)
    assert code == 3
    lines = err.splitlines(keepends=True)
    assert said(lines[-1])["texts"] == "2"
    # The flag changes no answer, so a run without it takes up where one with it stopped.
    assert command(*predict, *words, "--no-resume")[0] == 3


def test_documents_that_are_ranked_are_counted(
    command: Command, make_bundle: Callable[..., Path]
) -> None:
    bundle = make_bundle(labels=("score",))
    words = ["--task", "text-ranking", "--query", "profit", "profit rose", "loss", "profit rose"]
    code, out, err = command("predict", "-m", bundle, "--verbose", *words)
    assert (code, len(out.splitlines())) == (0, 3)
    assert said(err)["texts"] == "3"


def test_without_it_nothing_is_said(command: Command, predict: list[object]) -> None:
    assert command(*predict, "profit rose")[2] == ""
