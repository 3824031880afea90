"""The same texts get the same answers through every way in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import leanbert, python

HERE = Path(__file__).parent
GOLDEN: list[dict[str, Any]] = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
TEXTS = [str(item["text"]) for item in GOLDEN]
WANTED = [{str(k): float(v) for k, v in item["scores"].items()} for item in GOLDEN]


def check(found: list[dict[str, float]]) -> None:
    assert len(found) == len(WANTED)
    for item, scores, wanted in zip(GOLDEN, found, WANTED, strict=True):
        assert scores == pytest.approx(wanted, abs=2e-6), item["text"]
        assert max(scores, key=lambda label: scores[label]) == item["label"]


def by_label(answer: list[dict[str, Any]]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in answer}


def lines(stdout: str) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in stdout.splitlines()]
    assert [row["text"] for row in rows] == TEXTS[: len(rows)]
    return [row["scores"] for row in rows]


def test_the_file_is_what_the_script_makes(tmp_path: Path) -> None:
    made = tmp_path / "golden.json"
    done = python(["-m", "tests.runtime.pipelines.make_golden", made], tmp_path)
    assert done.returncode == 0, done.stderr
    again = json.loads(made.read_text(encoding="utf-8"))
    assert [(item["text"], item["label"]) for item in again] == [
        (item["text"], item["label"]) for item in GOLDEN
    ]
    for item, wanted in zip(again, WANTED, strict=True):
        assert item["scores"] == pytest.approx(wanted, abs=2e-6)


def test_the_golden_texts_are_worth_having() -> None:
    assert {item["label"] for item in GOLDEN} == {"positive", "negative", "neutral"}
    for wanted in WANTED:
        first, second, _ = sorted(wanted.values(), reverse=True)
        assert first - second > 0.01  # no label hangs on a rounding


def test_python_one_text(classify: Any) -> None:
    check([by_label(classify(text, top_k=None)) for text in TEXTS])
    for item in GOLDEN:
        best = float(item["scores"][item["label"]])
        assert classify(item["text"]) == [
            {"label": item["label"], "score": pytest.approx(best, abs=2e-6)}
        ]


def test_python_list(classify: Any) -> None:
    check([by_label(answer) for answer in classify(TEXTS, top_k=None)])


def test_python_generator(classify: Any) -> None:
    check([by_label(answer) for answer in classify((t for t in TEXTS), top_k=None)])
    check([by_label(answer) for answer in classify.stream(TEXTS, top_k=None)])


def test_command_arguments(tiny_bundle: Path, tmp_path: Path) -> None:
    done = leanbert("predict", "-m", tiny_bundle, "--top-k", "all", "--json", *TEXTS, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check(lines(done.stdout))


def test_command_stdin(tiny_bundle: Path, tmp_path: Path) -> None:
    given = "".join(f"{text}\n" for text in TEXTS)
    command = ("predict", "-m", tiny_bundle, "--top-k", "all", "--json")
    done = leanbert(*command, cwd=tmp_path, input=given)
    assert (done.returncode, done.stderr) == (0, "")
    check(lines(done.stdout))


def test_command_text_file(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\r\n".join(TEXTS).encode())
    command = ("predict", "-m", tiny_bundle, "--top-k", "all", "--json", "-i", path)
    done = leanbert(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check(lines(done.stdout))


def test_command_json_lines_into_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    path, output = tmp_path / "texts.jsonl", tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    command = ("predict", "-m", tiny_bundle, "--top-k", "3", "--json", "-i", path, "-o", output)
    done = leanbert(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    check(lines(output.read_text(encoding="utf-8")))
