"""Output in every form: no column overwrites another, none vanishes, and types stay."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert.cli.answers import answers_of
from leanbert.cli.inputs import Record
from leanbert.cli.writing import Columns, CsvWriter, JsonWriter, LinesWriter, TableWriter
from leanbert.errors import LeanBertError
from leanbert.records import Row
from tests.helpers.command import Command
from tests.helpers.tiny_bundles import LABELS

NLI = ("contradiction", "neutral", "entailment")


def table_of(text: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def test_labels_that_are_called_as_columns_are(
    command: Command, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    words: list[object] = [
        "predict", "-m", make_bundle(labels=NLI), "--task", "zero-shot-classification",
        "--candidate-labels", "score,label,text",
    ]  # fmt: skip
    header, [row] = table_of(command(*words, "--csv", "profit rose")[1])
    assert header == ["text", "label", "score", "label_score", "label_label", "label_text"]
    found = json.loads(command(*words, "--json", "profit rose")[1])
    scores = dict(zip(found["labels"], found["scores"], strict=True))
    assert row[:2] == ["profit rose", found["labels"][0]]
    assert [float(cell) for cell in row[2:]] == [
        found["scores"][0], scores["score"], scores["label"], scores["text"],
    ]  # fmt: skip
    path = tmp_path / "a.csv"
    path.write_text("text,label,predicted_label,score\nprofit,x,y,z\n")
    header, [row] = table_of(command(*words[:3], "--csv", "-i", path)[1])
    assert header == [
        "text", "label", "predicted_label", "score", "predicted_label.2", "predicted_score",
    ]  # fmt: skip
    assert row[:4] == ["profit", "x", "y", "z"]
    found = json.loads(command(*words[:3], "--json", "-i", path)[1])
    assert list(found) == header
    assert [found[name] for name in header[:4]] == row[:4]


def test_labels_of_one_name_keep_their_scores(
    command: Command, make_bundle: Callable[..., Path]
) -> None:
    words = ["predict", "-m", make_bundle(labels=("a", "a", "b")), "--top-k", "all", "profit"]
    header, [row] = table_of(command(*words, "--csv")[1])
    assert header == ["text", "label", "score", "a", "label_a", "b"]
    scores = json.loads(command(*words, "--json")[1])["scores"]
    assert sorted(float(cell) for cell in row[3:]) == sorted(item["score"] for item in scores)
    assert len(scores) == 3


def test_columns_of_one_name_in_the_input(command: Command, tmp_path: Path) -> None:
    show = answers_of("text-classification", LABELS, {})
    out = io.StringIO()
    writer = CsvWriter(show, out, Columns(show, ["text", "text.2"]))
    writer.write(
        Record("a", row=Row({"text": "a", "text.2": "b"})), {"label": "positive", "score": 0.5}
    )
    assert out.getvalue() == "text,text.2,label,score\na,b,positive,0.5\n"


def test_keys_of_later_rows_have_columns(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "profit"}\n{"text": "loss", "id": 7, "label": "x"}\n')
    header, rows = table_of(command(*predict, "-i", path, "--csv")[1])
    assert header == ["text", "id", "label", "predicted_label", "score"]
    assert [row[:3] for row in rows] == [["profit", "", ""], ["loss", "7", "x"]]
    first, second = map(json.loads, command(*predict, "-i", path, "--json")[1].splitlines())
    assert list(first) == ["text", "predicted_label", "score"]  # one name in all rows
    assert list(second) == ["text", "id", "label", "predicted_label", "score"]


def test_keys_of_later_rows_of_a_pipe_are_refused(
    command: Command, predict: list[object], stdin: Callable[[bytes], None], tmp_path: Path
) -> None:
    rows = b'{"text": "profit"}\n{"text": "loss", "id": 7}\n'
    words = [*predict, "--input-format", "jsonl"]
    stdin(rows)
    line = command.wrong(*words, "-o", tmp_path / "a.csv")
    assert "stdin: line 2: has 'id', which the first row lacks" in line
    assert list(tmp_path.iterdir()) == []
    stdin(rows)
    found = [json.loads(line) for line in command(*words, "--json")[1].splitlines()]
    assert found[1]["id"] == 7


def test_a_header_without_rows_stays(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n")
    assert command(*predict, "-i", path, "--csv") == (0, "id,text,label,score\n", "")
    (tmp_path / "a.txt").write_text("")
    assert command(*predict, "-i", tmp_path / "a.txt", "--csv")[1] == "text,label,score\n"


def test_returns_alone_end_lines(command: Command, predict: list[object], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"profit\rloss\rgain\r")
    assert command(*predict, "-i", tmp_path / "a.txt")[1].count("\n") == 3
    (tmp_path / "a.csv").write_bytes(b"id,text\r1,profit\r2,loss\r")
    _, rows = table_of(command(*predict, "-i", tmp_path / "a.csv", "--csv")[1])
    assert [row[:2] for row in rows] == [["1", "profit"], ["2", "loss"]]


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("a.xlsx", [], "cannot write .xlsx files; use .csv, .tsv, .txt, .jsonl, .ndjson, .parq"),
        ("a.json", [], "cannot write .json files"),
        ("a.csv.zst", [], "cannot write .zst files; use .gz, or no compression"),
        ("a.parquet.gz", [], "Parquet is compressed by itself; leave .gz out"),
        ("a.parquet", ["--csv"], "--csv does not write Parquet; leave it out"),
    ],
)
def test_unknown_endings_are_refused_before_anything_is_computed(
    command: Command, predict: list[object], tmp_path: Path, name: str, flags: list[str], said: str
) -> None:
    assert said in command.wrong(*predict, "profit", "-o", tmp_path / name, *flags)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "flags", "form"),
    [
        ("a.csv", [], "csv"),
        ("a.tsv", [], "tsv"),
        ("a.txt", [], "lines"),
        ("a", [], "lines"),
        ("A.JSONL", [], "json"),
        ("a.ndjson", [], "json"),
        ("a.log", ["--json"], "json"),
        ("a.txt", ["--csv"], "csv"),
    ],
)
def test_the_ending_says_the_form_unless_a_flag_does(
    command: Command, predict: list[object], tmp_path: Path, name: str, flags: list[str], form: str
) -> None:
    assert command(*predict, "profit", "-o", tmp_path / name, *flags) == (0, "", "")
    content = (tmp_path / name).read_text()
    assert content.startswith(
        {
            "csv": "text,label,score\n",
            "tsv": "text\tlabel\tscore\n",
            "lines": "positive\t",
            "json": '{"text": "profit"',
        }[form]
    )


def test_parquet_keeps_types(command: Command, predict: list[object], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path, output = tmp_path / "a.parquet", tmp_path / "out.parquet"
    table = pyarrow.table(
        {
            "text": ["profit", "loss"],
            "n": pyarrow.array([1, None], pyarrow.int16()),
            "day": pyarrow.array([1, 2], pyarrow.date32()),
            "x": [math.nan, 1.5],
            "label": ["a", "b"],
        }
    )
    parquet.write_table(table, path)
    assert command(*predict, "-i", path, "-o", output) == (0, "", "")
    found = parquet.read_table(output)
    assert found.schema.names == [*table.schema.names, "predicted_label", "score"]
    assert found.select(table.schema.names).schema.types == table.schema.types
    assert found["n"].to_pylist() == [1, None]
    assert found.schema.field("score").type == pyarrow.float64()
    wanted = [json.loads(line) for line in command(*predict, "-i", path, "--json")[1].splitlines()]
    assert wanted[0]["x"] is None  # JSON has no NaN
    assert wanted[0]["day"] == "1970-01-02"
    assert found["score"].to_pylist() == [row["score"] for row in wanted]


def test_parquet_of_rows_of_several_types(
    command: Command, predict: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path, output = tmp_path / "a.jsonl", tmp_path / "out.parquet"
    path.write_text('{"text": "a", "n": 1, "m": 2}\n{"text": "b", "n": "x", "m": null}\n')
    command(*predict, "-i", path, "-o", output, "--top-k", "all")
    found = parquet.read_table(output).to_pydict()
    assert found["n"] == ["1", "x"]
    assert found["m"] == [2, None]
    assert set(LABELS) <= set(found)
    path.write_text("")
    command(*predict, "-i", path, "-o", output)
    assert parquet.read_table(output).schema.names == ["label", "score"]
    monkeypatch.setattr("leanbert.cli.parquet_writing._CHUNK", 1)
    path.write_text('{"text": "a", "n": 1}\n{"text": "b", "n": "x"}\n')
    line = command.wrong(*predict, "-i", path, "-o", tmp_path / "new.parquet")
    assert "the column 'n' is int64 in the first rows, and later is not" in line
    assert not (tmp_path / "new.parquet").exists()


def test_parquet_needs_pyarrow(
    command: Command, predict: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = command.wrong(*predict, "profit", "-o", tmp_path / "a.parquet")
    assert "writing .parquet needs pyarrow; install it with: pip install" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [TableWriter, LinesWriter, JsonWriter])
def test_no_form_shows_what_is_no_number(form: Any) -> None:
    show = answers_of("text-classification", LABELS, {})
    answer = {"label": "positive", "score": math.nan}
    record = Record("a", row=Row({"text": "a"}, "a.txt: line 3"))
    with pytest.raises(LeanBertError, match=r"a\.txt: line 3: the model answers nan"):
        form(show, io.StringIO()).write(record, answer)
    with pytest.raises(LeanBertError, match=r"a\.txt: line 3: the model answers nan"):
        CsvWriter(show, io.StringIO(), Columns(show)).write(record, answer)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_csv_on_a_terminal_is_shown_without_control_characters() -> None:
    show = answers_of("text-classification", LABELS, {})
    record = Record("a\x1b", row=Row({"text": "a\x1b[2J"}))
    for out, wanted in ((Terminal(), "a\\x1b[2J"), (io.StringIO(), "a\x1b[2J")):
        CsvWriter(show, out, Columns(show)).write(record, {"label": "positive", "score": 0.5})
        assert out.getvalue().splitlines()[1].startswith(wanted)
