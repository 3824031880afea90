"""Bad input of every kind, in every format, costs its own row or one clear line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from leanbert.cli import answering
from leanbert.cli.inputs import Entry, Failure, Record
from leanbert.errors import EngineError, InputError
from leanbert.records import Row
from tests.helpers.command import Command

GOOD = ["profit rose", "a bad loss", "the company said"]


def written(path: Path, values: list[Any]) -> Path:
    """A file of rows with the column ``text``; bytes stand for a line that is written so."""
    ending = path.suffix
    if ending in {".parquet", ".arrow"}:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.table({"text": values, "id": range(len(values))})
        if ending == ".parquet":
            parquet.write_table(table, path)
        else:
            with pyarrow.ipc.new_file(path, table.schema) as file:
                file.write_table(table)
        return path
    lines = [b"text\tid"] if ending == ".tsv" else [b"text,id"] if ending == ".csv" else []
    for i, value in enumerate(values):
        if isinstance(value, bytes):
            lines.append(value)
        elif ending == ".jsonl":
            lines.append(json.dumps({"text": value, "id": i}).encode())
        elif ending == ".txt":
            lines.append(value.encode())
        else:
            lines.append(f"{value}{',' if ending == '.csv' else chr(9)}{i}".encode())
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


BAD = [
    (".jsonl", None, "'text' holds nothing (null), not a text"),
    (".jsonl", 7.5, "'text' holds the number 7.5, not a text"),
    (".jsonl", True, "'text' holds true, not a text"),
    (".jsonl", [["a"], ["b"]], "'text' holds a list, not a text"),
    (".jsonl", {"a": 1}, "'text' holds a dict, not a text"),
    (".jsonl", b'{"text": NaN}', "not valid JSON (NaN is not JSON)"),
    (".jsonl", b'{"text": "a", "text": "b"}', "not valid JSON (the key 'text' stands in it twice)"),
    (".jsonl", b'{"text": "a"', "not valid JSON (Expecting"),
    (".jsonl", b"[1, 2]", "expected a JSON object, got list"),
    (".jsonl", b'{"id": 3}', "no column 'text'; it has 'id'"),
    (".jsonl", b'{"text": "caf\xe9"}', "not valid utf-8"),
    (".csv", b"a,1,2,3", "more cells than the header has columns"),
    (".csv", b'a"b\r,1', "not valid CSV (a carriage return stands outside quotes)"),
    (".csv", b"caf\xe9,1", "not valid utf-8"),
    (".tsv", b"a\t1\t2", "more cells than the header has columns"),
    (".tsv", b"caf\xe9\t1", "not valid utf-8"),
    (".txt", b"caf\xe9", "not valid utf-8"),
    (".parquet", None, "'text' holds nothing (null), not a text"),
    (".arrow", None, "'text' holds nothing (null), not a text"),
]


@pytest.mark.parametrize(("ending", "bad", "reason"), BAD)
def test_a_bad_row_costs_itself(
    command: Command, predict: list[object], tmp_path: Path, ending: str, bad: Any, reason: str
) -> None:
    path = written(tmp_path / f"news{ending}", [GOOD[0], bad, *GOOD[1:]])
    out = tmp_path / "out.jsonl"
    words = [*predict, "-i", path, "-o", out]
    line = command.wrong(*words)
    assert f"{path}: " in line
    assert reason.partition(" (")[0] in line
    assert not out.exists()
    code, _, err = command(*words, "--max-errors", 1)
    assert code == 3
    assert err == f"leanbert: 1 of 4 rows failed; {out}.errors.jsonl has them with the reasons\n"
    assert [json.loads(line)["text"] for line in out.read_text().splitlines()] == GOOD
    [failed] = map(json.loads, Path(f"{out}.errors.jsonl").read_text().splitlines())
    assert failed["row"] == 2
    assert failed["reason"].startswith(reason)
    assert failed["where"].startswith(f"{path}: ")
    assert failed["raw"]
    assert "news" not in failed["reason"]
    line = command.wrong(*words, "--max-errors", 0, code=1)
    assert "(--max-errors 0 allows no more rows that fail)" in line


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.5, float("nan")], "row 1: 'text' holds the number 1.5, not a text"),
        ([["a"], ["b"]], "row 1: 'text' holds a list, not a text"),
    ],
)
def test_columns_of_another_type(
    command: Command, predict: list[object], tmp_path: Path, ending: str, values: Any, said: str
) -> None:
    assert said in command.wrong(*predict, "-i", written(tmp_path / f"a{ending}", values))


def test_a_raw_row_is_shown_in_part(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ' + "9" * 100_000 + "\n" + '{"text": "profit"}\n')
    assert command(*predict, "-i", path, "-o", tmp_path / "o.csv", "--max-errors", 3)[0] == 3
    [failed] = map(json.loads, (tmp_path / "o.csv.errors.jsonl").read_text().splitlines())
    assert (len(failed["raw"]), failed["raw_characters"]) == (65_536, 100_009)


def test_what_the_model_refuses_costs_its_own_row(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    texts = ["profit rose"] * 150
    texts[70] = texts[100] = "profit " * 200
    path = written(tmp_path / "a.jsonl", texts)
    words = [*predict, "-i", path, "-o", tmp_path / "o.csv", "--truncation", "do_not_truncate"]
    assert command(*words, "--max-errors", 2)[0] == 3
    failed = list(map(json.loads, (tmp_path / "o.csv.errors.jsonl").read_text().splitlines()))
    assert [row["row"] for row in failed] == [71, 101]
    assert not failed[0]["reason"].startswith("text ")
    ids = [int(row["id"]) for row in csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text()))]
    assert ids == [i for i in range(150) if i not in (70, 100)]


def test_failures_keep_their_place_and_errors_that_are_not_the_inputs_go_through() -> None:
    def stream(inputs: Any) -> Any:
        held = list(inputs)
        if "bad" in held:
            raise EngineError("text 3: no numbers")
        yield from held

    def entries() -> Any:
        for number, text in enumerate(["a", "bad", None, "b"]):
            row = Row({"text": text}, f"row {number}")
            yield (
                Failure(row, number, "empty")
                if text is None
                else Entry(Record(text, row=row, number=number), text)
            )
        raise InputError("the file ends amid a row")

    found = []
    with pytest.raises(InputError, match="amid a row"):
        for item in answering.answered(entries(), stream, tolerant=True):
            found.append(item.reason if isinstance(item, Failure) else item[1])  # noqa: PERF401
    assert found == ["a", "no numbers", "empty", "b"]
    with pytest.raises(EngineError):
        list(answering.answered(islice(entries(), 2), stream))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow", ".txt"])
@pytest.mark.parametrize("out", ["out.csv", "out.tsv", "out.parquet", "out.csv.gz"])
def test_a_header_without_rows_stays(
    command: Command, predict: list[object], tmp_path: Path, ending: str, out: str
) -> None:
    if "parquet" in out:
        pytest.importorskip("pyarrow")
    path = written(tmp_path / f"a{ending}", [])
    if ending in {".txt", ".jsonl"}:
        path.write_text("")
    assert command(*predict, "-i", path, "-o", tmp_path / out) == (0, "", "")
    names = ["label", "score"] if ending == ".jsonl" else ["text", "label", "score"]
    names[1:1] = ["id"] if ending not in {".jsonl", ".txt"} else []
    if out.endswith(".parquet"):
        table = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / out)
        assert (table.column_names, table.num_rows) == (names, 0)
        return
    data = (tmp_path / out).read_bytes()
    text = (gzip.decompress(data) if out.endswith(".gz") else data).decode()
    assert text == ("\t" if out.endswith(".tsv") else ",").join(names) + "\n"


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow", ".csv.gz"])
def test_sentences_of_documents_have_their_numbers(
    command: Command, tmp_path: Path, ending: str
) -> None:
    path = written(
        tmp_path / f"a{ending.removesuffix('.gz')}", ["Profit rose. Sales fell.", "Nothing."]
    )
    if ending.endswith(".gz"):
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    words = ["predict", "--threads", 1, "-i", path, "--split", "sentences"]
    assert command(*words, "-o", tmp_path / "out.csv") == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [(row["document"], row["id"], row["sentence"]) for row in rows] == [
        ("0", "0", "Profit rose."),
        ("0", "0", "Sales fell."),
        ("1", "1", "Nothing."),
    ]


def test_documents_of_several_files_are_numbered(command: Command, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Profit rose. Sales fell.")
    words = ["predict", "--threads", 1, "--split", "sentences", "-i"]
    assert command(*words, tmp_path / "a.txt", tmp_path / "b.txt", "-o", tmp_path / "o.csv")[0] == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text())))
    assert [row["document"] for row in rows] == ["0", "0", "1", "1"]


def test_layouts_of_publishers(
    command: Command, predict: list[object], tmp_path: Path, stdin: Callable[[bytes], None]
) -> None:
    bank = tmp_path / "Sentences_50Agree.txt"
    bank.write_bytes("Café sales rose .@positive\n".encode("latin-1"))
    words = ["--encoding", "latin-1", "--delimiter", "@", "--json"]
    row = json.loads(command(*predict, "-i", bank, *words)[1])
    assert (row["text"], row["label"]) == ("Café sales rose .", "positive")
    assert "predicted_label" in row
    tweets = tmp_path / "tweets.tsv"
    tweets.write_text('id\ttext\tlabel\n1\tBuy "AAPL now\t1\n2\t$TSLA fell\t0\n')
    out = command(*predict, "-i", tweets, "--no-quotes", "--json")[1]
    assert [json.loads(line)["text"] for line in out.splitlines()] == [
        'Buy "AAPL now', "$TSLA fell",
    ]  # fmt: skip
    fiqa = tmp_path / "fiqa.csv"
    fiqa.write_text('sentence,score\n"Profit, ""adjusted"",\nrose",0.4\n')
    out = command(*predict, "-i", fiqa, "--text-column", "sentence", "--json")[1]
    row = json.loads(out)
    assert (row["sentence"], row["score"]) == ('Profit, "adjusted",\nrose', "0.4")
    assert row["predicted_score"] > 0
