"""The measurement of a bundle on the sentences of our own, and that no training row is one."""

from __future__ import annotations

import ast
import builtins
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import leanbert_training
from leanbert_bench.sections import split_section
from leanbert_training import challenge, rows, stages
from tests.helpers.training_sets import write_sets

CASES = [
    challenge.Case("growth", 0, ("up", "up", "down")),
    challenge.Case("growth", 1, ("down", "down", "down")),
    challenge.Case("dates", 2, ("flat", "up", "flat")),
]
SOURCES = Path(str(leanbert_training.__file__)).parent


def by_word(texts: Sequence[str]) -> np.ndarray:
    answers = {"up": [0.96, 0.02, 0.02], "down": [0.1, 0.8, 0.1], "flat": [0.2, 0.2, 0.6]}
    return np.array([answers[text] for text in texts])


def test_held_out_wordings_are_measured_apart_from_the_others() -> None:
    found = challenge.measure_cases(CASES, by_word)

    assert found["phenomena"] == [
        {"phenomenon": "growth", "cases": 2, "held_out": 0.5, "others": 1.0},
        {"phenomenon": "dates", "cases": 1, "held_out": 1.0, "others": 0.5},
    ]
    held, others = found["held_out"], found["others"]
    assert (held["rows"], held["accuracy"]) == (3, pytest.approx(2 / 3))
    assert held["by_label"] == {"positive": 0.0, "negative": 1.0, "neutral": 1.0}
    assert held["opposite"] == pytest.approx(1 / 3)
    assert held["ece"] == pytest.approx((2 * 0.3 + 0.4) / 3)  # 0.8 right once in two, 0.6 right
    assert (held["sure_rows"], held["sure_accuracy"]) == (0, None)
    assert (others["rows"], others["accuracy"]) == (6, pytest.approx(5 / 6))
    assert others["opposite"] == 0.0
    assert (others["sure_rows"], others["sure_accuracy"]) == (3, pytest.approx(2 / 3))


def test_texts_on_other_topics_are_counted_per_label() -> None:
    others = [challenge.Other("films", "up"), challenge.Other("films", "flat")]
    others.append(challenge.Other("sport", "down"))
    films, sport, every = challenge.measure_others(others, by_word)

    assert (films["topic"], films["rows"]) == ("films", 2)
    assert (films["positive"], films["negative"], films["neutral"]) == (0.5, 0.0, 0.5)
    assert films["confidence"] == pytest.approx((0.96 + 0.6) / 2)
    assert sport["negative"] == 1.0
    assert (every["topic"], every["rows"]) == ("all", 3)
    assert every["neutral"] == pytest.approx(1 / 3)


def write_challenge(folder: Path) -> None:
    case = {"phenomenon": "growth", "label": "positive", "why": ".", "wordings": ["a", "b", "c"]}
    (folder / "challenge.jsonl").write_text(json.dumps(case) + "\n", encoding="utf-8")
    other = {"topic": "films", "text": "A good film."}
    (folder / "not_finance.jsonl").write_text(json.dumps(other) + "\n", encoding="utf-8")


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["challenge", *map(str, words)])
    return challenge.main()


def test_the_command_prints_tables_and_writes_json(
    tmp_path: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_challenge(tmp_path)
    output = tmp_path / "measured.json"

    assert run(monkeypatch, "--bundle", tiny_bundle, "--data", tmp_path, "-o", output) == 0
    lines = capsys.readouterr().out.splitlines()
    measured = json.loads(output.read_text(encoding="utf-8"))
    held = measured["challenge"]["held_out"]["accuracy"]
    assert f"| growth | 1 | {held:.1%} |" in "\n".join(lines)
    assert [line for line in lines if line.startswith("| films | 1 |")]
    assert challenge.markdown(measured).splitlines() == lines


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": "good"}, "line 1: label 'good'; expected one of"),
        ({"wordings": ["a"]}, "line 1: 1 wordings; expected 3"),
        ({"phenomenon": None}, "line 1: expected an object with phenomenon, label, wordings"),
    ],
)
def test_a_line_that_is_no_case_is_one_clear_line(
    change: dict[str, Any],
    why: str,
    tmp_path: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_challenge(tmp_path)
    path = tmp_path / "challenge.jsonl"
    case = {**json.loads(path.read_text(encoding="utf-8")), **change}
    kept = {key: value for key, value in case.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")

    assert run(monkeypatch, "--bundle", tiny_bundle, "--data", tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line


def test_a_file_that_is_missing_empty_or_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    with pytest.raises(FileNotFoundError):
        challenge.load_cases(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="no cases"):
        challenge.load_cases(path)
    with pytest.raises(ValueError, match="no texts"):
        challenge.load_others(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="line 1: not JSON"):
        challenge.load_others(path)


def test_the_page_has_the_measurement_of_every_case_and_text() -> None:
    _, section, _ = split_section(SOURCES / "README.md", challenge.START, challenge.END)
    cases, others = challenge.load_cases(), challenge.load_others()
    for phenomenon in {case.phenomenon for case in cases}:
        number = sum(case.phenomenon == phenomenon for case in cases)
        assert f"| {phenomenon.replace('_', ' ')} | {number} |" in section
    assert f"| **all: accuracy** | {len(cases)} |" in section
    assert f"| all | {len(others)} |" in section


def mentions(source: str) -> bool:
    """Whether Python code imports the challenge module, or names a file or the folder of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = ["challenge"] if node.value.endswith(("tests", "tests/data")) else [node.value]
            names = [Path(name).stem for name in names if "\n" not in name]
        else:
            continue
        if {"challenge", "not_finance", "leanbert_training.challenge"} & set(names):
            return True
    return False


@pytest.mark.parametrize(
    "line",
    [
        "from leanbert_training import data, challenge",
        "from leanbert_training.challenge import load_cases",
        "import leanbert_training.challenge as c",
        "path = Path('tests') / name",
        "path = root / 'tests/data'",
        "path = 'x/challenge.jsonl'",
        "path = 'not_finance.jsonl'",
    ],
)
def test_the_search_for_readers_of_the_sentences_finds_one(line: str) -> None:
    assert mentions(f"def f():\n    {line}\n")
    assert not mentions("from leanbert_training import data\npath = 'train.jsonl'\n")


def test_few_modules_know_the_sentences() -> None:
    found = {p.stem for p in SOURCES.rglob("*.py") if mentions(p.read_text(encoding="utf-8"))}
    # build.py and card.py measure and describe; refining_rows.py reads the open wordings
    assert found == {"build", "card", "challenge", "refining_rows"}


def test_open_wordings_are_the_first_two() -> None:
    assert challenge.open_wordings(CASES[:1]) == [("up", 0), ("up", 0)]
    texts = {text for text, _ in challenge.open_wordings(challenge.load_cases())}
    assert not texts & {case.wordings[2] for case in challenge.load_cases()}


def test_training_rows_are_made_without_reading_the_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sets(tmp_path)
    (tmp_path / "finbert_reference" / "finbert_labels.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "unlabelled").mkdir()
    (tmp_path / "unlabelled" / "stocknet_tweets.txt").write_text(
        "a post of six words or more about the market\n", encoding="utf-8"
    )
    opened: list[Path] = []
    original = builtins.open

    def recording(file: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(file, int):
            opened.append(Path(file).resolve())
        return original(file, *args, **options)

    monkeypatch.setattr(builtins, "open", recording)
    monkeypatch.setattr(io, "open", recording)
    kept, held = stages.rows_of(tmp_path)
    transferred = rows.transfer_rows(tmp_path, 2, seed=0)

    assert tmp_path.resolve() / "twitter_financial_news" / "sent_train.csv" in opened
    assert not [path for path in opened if challenge.FOLDER in path.parents]
    own = {text for case in challenge.load_cases() for text in case.wordings}
    own |= {other.text for other in challenge.load_others()}
    assert not own & {row.text for row in (*kept, *held, *transferred)}
    assert transferred
