"""The command: its inputs, outputs, exit codes, and one line where something is wrong."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert.cli.answers import Answers, answers_of
from leanbert.cli.inputs import Record
from tests.helpers.command import Command
from tests.helpers.processes import leanbert
from tests.helpers.tiny_bundles import LABELS, WIDTH, Tiny, probabilities, reference


def score(text: str, pair: str | None = None) -> tuple[str, float]:
    best = max(zip(probabilities(Tiny(), text, pair), LABELS, strict=True))
    return best[1], best[0]


def check_row(row: str, text: str) -> None:
    label, number, shown = row.split("\t")
    wanted, value = score(text)
    assert (label, shown) == (wanted, text)
    assert float(number) == pytest.approx(value, abs=6e-5)


def test_texts_as_arguments(command: Command, predict: list[object]) -> None:
    code, out, err = command(*predict, "profit rose", "a bad loss")
    assert (code, err) == (0, "")
    rows = out.splitlines()
    assert len(rows) == 2
    check_row(rows[0], "profit rose")
    check_row(rows[1], "a bad loss")


def test_texts_on_stdin(
    command: Command, predict: list[object], stdin: Callable[[bytes], None]
) -> None:
    for extra in ([], ["-i", "-"]):
        stdin("profit rose\r\n\nbad — loss".encode())
        code, out, err = command(*predict, *extra)
        assert (code, err) == (0, "")
        rows = out.split("\n")
        for row, text in zip(rows, ["profit rose", "", "bad — loss"], strict=False):
            check_row(row, text)
        assert rows[3:] == [""]


def test_only_the_end_of_a_line_is_taken_off(
    command: Command, predict: list[object], stdin: Callable[[bytes], None]
) -> None:
    stdin(b"  profit \n")
    assert json.loads(command(*predict, "--json")[1])["text"] == "  profit "


def test_an_empty_stdin_is_no_text(
    command: Command, predict: list[object], stdin: Callable[[bytes], None]
) -> None:
    stdin(b"")
    assert command(*predict) == (0, "", "")


def test_one_line_an_answer_whatever_the_text(command: Command, predict: list[object]) -> None:
    _, out, _ = command(*predict, "profit\n\trose\r \\ up")
    assert out.count("\n") == 1
    assert out.endswith("\tprofit\\n\\trose\\r \\\\ up\n")


def test_a_text_file(command: Command, predict: list[object], tmp_path: Path) -> None:
    path = tmp_path / "TEXTS.TXT"
    path.write_text("profit rose\na bad loss\n")
    code, out, _ = command(*predict, "--input", path)
    assert code == 0
    for row, text in zip(out.splitlines(), ["profit rose", "a bad loss"], strict=True):
        check_row(row, text)


def test_json_lines_with_a_pair(command: Command, predict: list[object], tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    rows = [
        {"id": 7, "headline": "profit rose", "body": "a bad loss"},
        {"id": 8, "headline": "ärger", "body": "gain"},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows[:1]) + "\n\n" + json.dumps(rows[1]))
    columns = ["--text-column", "headline", "--text-pair-column", "body"]
    code, out, err = command(*predict, "-i", path, *columns, "--json")
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    for row, answer in zip(rows, found, strict=True):
        label, value = score(str(row["headline"]), str(row["body"]))
        assert answer == {**row, "label": label, "score": pytest.approx(value, abs=1e-6)}
    assert "ärger" in out
    alone = command(*predict, "-i", path, *columns[:2], "--json")[1]
    assert [json.loads(line)["score"] for line in alone.splitlines()] != [
        answer["score"] for answer in found
    ]


@pytest.mark.parametrize(("top_k", "count"), [("all", 3), ("2", 2), ("1", 1), ("9", 3)])
def test_top_k(command: Command, predict: list[object], top_k: str, count: int) -> None:
    wanted = sorted(zip(probabilities(Tiny(), "profit"), LABELS, strict=True), reverse=True)
    _, out, _ = command(*predict, "--top-k", top_k, "--json", "profit")
    scores = json.loads(out)["scores"]
    assert list(scores) == [label for _, label in wanted[:count]]
    assert list(scores.values()) == pytest.approx([s for s, _ in wanted[:count]], abs=1e-6)
    _, out, _ = command(*predict, "--top-k", top_k, "profit")
    assert out.split("\t")[0 : 2 * count : 2] == [label for _, label in wanted[:count]]
    assert len(out.split("\t")) == 2 * count + 1


def test_options_reach_the_pipeline(command: Command, predict: list[object]) -> None:
    _, out, _ = command(*predict, "--json", "--function-to-apply", "none", "profit")
    raw = max(map(float, reference(Tiny(), "profit")))
    assert json.loads(out)["score"] == pytest.approx(raw, abs=1e-5)
    done = command(*predict, "--task", "sentiment-analysis", "profit")
    assert done == command(*predict, "profit")


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (["profit"], "latency"),
        (["-i", "texts.txt"], "throughput"),
        ([], "throughput"),
        (["--mode", "throughput", "profit"], "throughput"),
        (["--mode", "latency", "-i", "texts.txt"], "latency"),
    ],
)
def test_the_mode_follows_the_source_of_the_texts(
    command: Command,
    predict: list[object],
    stdin: Callable[[bytes], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    mode: str,
) -> None:
    from leanbert import pipelines

    modes: list[str] = []
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("profit\n")
    stdin(b"profit\n")

    def noted(*args: Any, **options: Any) -> Any:
        modes.append(options["mode"])
        return made(*args, **options)

    made = pipelines.pipeline
    monkeypatch.setattr(pipelines, "pipeline", noted)
    code, out, err = command(*predict, *words)
    assert (code, err) == (0, "")
    check_row(out.rstrip("\n"), "profit")
    assert modes == [mode]


def test_embeddings(command: Command, tiny_features: Path) -> None:
    words = ["predict", "-m", tiny_features, "profit rose"]
    tiny = Tiny(task="feature-extraction")
    hidden = reference(tiny, "profit rose")
    _, out, _ = command(*words)
    row = json.loads(out)
    assert row["text"] == "profit rose"
    np.testing.assert_allclose(row["embedding"], hidden.mean(axis=0), atol=1e-5)
    _, out, _ = command(*words, "--pooling", "cls", "--normalize")
    wanted = hidden[0] / np.linalg.norm(hidden[0])
    np.testing.assert_allclose(json.loads(out)["embedding"], wanted, atol=1e-5)
    _, out, _ = command(*words, "--pooling", "none")
    assert np.shape(json.loads(out)["embedding"]) == (1, 4, WIDTH)


def test_an_output_file(command: Command, predict: list[object], tmp_path: Path) -> None:
    path = tmp_path / "answers.txt"
    path.write_text("old")
    assert command(*predict, "-o", path, "profit rose") == (0, "", "")
    check_row(path.read_text(encoding="utf-8").rstrip("\n"), "profit rose")
    assert os.listdir(tmp_path) == ["answers.txt"]  # noqa: PTH208


def test_an_output_file_has_the_usual_permissions(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "answers.tsv"
    usual = tmp_path / "usual"
    usual.touch()
    command(*predict, "-o", path, "profit rose")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize("there", [False, True])
def test_no_output_file_after_an_error(
    command: Command,
    predict: list[object],
    tmp_path: Path,
    there: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine on which this takes longer than a second would keep the rows until then.
    monkeypatch.setattr("leanbert.cli.ledger._EVERY", float("inf"))
    texts, output = tmp_path / "texts.txt", tmp_path / "out" / "answers.tsv"
    output.parent.mkdir()
    if there:
        output.write_text("old")
    texts.write_bytes(b"profit rose\n" * 5000 + b"caf\xe9\n")  # the first window is answered
    assert "line 5001" in command.wrong(*predict, "-i", texts, "-o", output)
    assert [path.name for path in output.parent.iterdir()] == ["answers.tsv"] * there
    if there:
        assert output.read_text() == "old"


def test_an_output_directory_that_is_not_there(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    assert "no such directory" in command.wrong(*predict, "-o", tmp_path / "no" / "a", "profit")


def test_bad_encoding_names_the_line(
    command: Command, predict: list[object], tmp_path: Path, stdin: Callable[[bytes], None]
) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"profit\ncaf\xe9 loss\n")
    line = command.wrong(*predict, "-i", path)
    assert f"{path}: line 2: not valid utf-8" in line
    assert "--encoding latin-1" in line
    stdin(path.read_bytes())
    code, out, err = command(*predict)
    assert code == 2
    check_row(out.splitlines()[0], "profit")  # a live feed is answered as it comes
    assert "stdin: line 2: not valid utf-8" in err
    code, out, _ = command(*predict, "-i", path, "--encoding", "latin-1")
    assert code == 0
    check_row(out.splitlines()[1], "café loss")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.txt", None, "No such file"),
        (
            "texts.xml",
            "a",
            "cannot read .xml files; use .txt, .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow or",
        ),
        ("texts", "a", "its name has no ending; use .txt, .csv"),
        ("a.csv", "title\nb", "no column 'text'; it has 'title' (pass --text-column)"),
        ("a.csv", "text\nb,c", "line 2: more cells than the header has columns"),
        ("a.csv", 'text\n"b', "not valid CSV"),
        ("a.jsonl", '{"text": "a"}\n{"text": ', "line 2: not valid JSON"),
        ("a.jsonl", '{"text": "a"}\n\n["a"]', "line 3: expected a JSON object, got list"),
        ("a.jsonl", '{"title": "a"}', "line 1: no column 'text'; it has 'title' (pass"),
        ("a.jsonl", '{"text": 5}', "line 1: 'text' holds the number 5, not a text"),
        ("a.jsonl", '{"text": null}', "line 1: 'text' holds nothing (null), not a text"),
        ("a.jsonl", '{"text": ["a"]}', "line 1: 'text' holds a list, not a text"),
        ("a.jsonl", "{}", "it has no columns"),
    ],
)
def test_a_file_that_cannot_be_read(
    command: Command,
    predict: list[object],
    tmp_path: Path,
    name: str,
    content: str | None,
    said: str,
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    line = command.wrong(*predict, "-i", path, "--json", "-o", tmp_path / "out.jsonl")
    assert str(path) in line
    assert said in line
    assert not (tmp_path / "out.jsonl").exists()


def test_a_directory_as_input(command: Command, predict: list[object], tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    assert "folder.txt" in command.wrong(*predict, "-i", tmp_path / "folder.txt")


def test_no_texts_at_a_terminal(
    command: Command, predict: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert "no texts" in command.wrong(*predict)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "-i", "b.txt"], "not both"),
        (["a", "--top-k", "0"], "--top-k is '0'"),
        (["a", "--top-k", "some"], "--top-k is 'some'"),
        (["a", "--max-length", "2"], "--max-length is 2"),
        (["a", "--threads", "0"], "--threads is 0"),
        (["a", "--task", "poem"], "unknown task 'poem'"),
        (["a", "--task", "feature-extraction"], "needs the output last_hidden_state"),
    ],
)
def test_wrong_use(command: Command, predict: list[object], words: list[str], said: str) -> None:
    assert said in command.wrong(*predict, *words)


def test_a_model_that_is_not_there(command: Command, tmp_path: Path) -> None:
    assert "does not exist" in command.wrong("predict", "-m", tmp_path / "no", "a", code=1)
    assert "does not exist" in command.wrong("info", tmp_path / "no", code=1)
    assert "does not exist" in command.wrong("verify", tmp_path / "no", code=1)


def test_a_long_text_is_cut_with_one_line(predict: list[object], tmp_path: Path) -> None:
    done = leanbert(*predict, "profit " * 50, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("positive\t")
    assert re.fullmatch(r"leanbert: warning: text 0: cut to 32 tokens[^\n]*\n", done.stderr)


def test_an_error_of_the_system_is_one_line(
    command: Command, predict: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "x"))

    monkeypatch.setattr("tempfile.mkstemp", full)
    line = command.wrong(*predict, "-o", tmp_path / "x", "profit", code=1)
    assert line == f"leanbert: {tmp_path / 'x'}: No space left on device\n"


def test_the_table_for_people() -> None:
    def table(colour: bool) -> Answers:
        return answers_of("text-classification", LABELS, {}, colour=colour)

    row = table(True).table(Record("profit\nrose"), {"label": "positive", "score": 0.75})
    assert row == "\x1b[32mpositive\x1b[0m  0.750 ▰▰▰▰▰▰▱▱  profit rose\n"
    scores = [{"label": "neutral", "score": 3.5}, {"label": "negative", "score": -1.0}]
    row = table(False).table(Record("a"), scores)
    assert row == "neutral   3.500 ▰▰▰▰▰▰▰▰  negative  -1.000 ▱▱▱▱▱▱▱▱  a\n"


def test_the_table_into_a_pipe(command: Command, predict: list[object]) -> None:
    code, out, err = command(*predict, "--table", "profit")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"positive  0\.\d{3} [▰▱]{8}  profit\n", out)


@pytest.mark.parametrize("encoding", ["latin-17", "hex"])
def test_an_encoding_that_is_none(
    command: Command, predict: list[object], tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"profit\n")
    assert encoding in command.wrong(*predict, "-i", path, "--encoding", encoding)
