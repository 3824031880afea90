"""Tables of every format: their columns, their rows, and what is refused with its place."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError, LeanBertWarning, MissingExtraError
from leanbert.records import FORMATS, ReadOptions, Survey, open_table, read_rows, survey


def values(path: Path, **options: Any) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(path, ReadOptions(**options))]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def failure(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        values(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_lines_of_text_keep_their_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "A.TXT", "\ufeffprofit \n\nb\r\nc\r\r\n")
    rows = list(read_rows(path))
    assert [row.values for row in rows] == [
        {"text": "profit "},
        {"text": ""},
        {"text": "b"},
        {"text": "c\r"},  # one end is taken off
    ]
    assert rows[2].where == f"{path}: line 3"
    assert values(path, whole=True) == [{"text": "profit \n\nb\r\nc\r\r\n"}]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "id,text\n1,profit\n", {}),
        ("a.csv", "id\ttext\n1\tprofit\n", {}),
        ("a.csv", "id;text\n1;profit\n", {}),
        ("a.csv", "id|text\n1|profit\n", {"delimiter": "|"}),
        ("a.csv", "id\ttext\n1\tprofit\n", {"delimiter": "tab"}),
        ("a.tsv", "id\ttext\n1\tprofit\n", {}),
        ("a.tsv", "id,text\n1,profit\n", {"delimiter": "comma"}),
        ("a.csv", "id,text\r1,profit\r", {}),
        ("a.csv", 'id,text\n\n"1","profit"\n\n', {}),
        ("a.txt", "id,text\n1,profit\n", {"format": "csv"}),
        ("a.csv", "\ufeffid,text\n1,profit", {}),
        ("a.csv", "id,text\n1,profit".encode("utf-16"), {"encoding": "utf-16"}),
        ("a.jsonl", '{"id": "1", "text": "profit"}\n\n', {}),
        ("a.ndjson", '{"id": "1", "text": "profit"}\r', {}),
    ],
)
def test_a_row_has_its_columns(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any]
) -> None:
    path = written(tmp_path, name, content)
    assert values(path, **options) == [{"id": "1", "text": "profit"}]
    assert survey(path, ReadOptions(**options)) == Survey(1, ("id", "text"))


def test_cells_in_quotes_run_over_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'text,n\n"a, ""b""\r\nc",1\nd,2\n')
    rows = list(read_rows(path))
    assert [row.values for row in rows] == [
        {"text": 'a, "b"\r\nc', "n": "1"},
        {"text": "d", "n": "2"},
    ]
    assert rows[1].where == f"{path}: line 4"
    assert survey(path) == Survey(2, ("text", "n"))


def test_quotes_may_be_plain_characters(tmp_path: Path) -> None:
    content = 'text\tlabel\n"Nokia said\tpositive\nit is "good"\tneutral\nand "so"\tneutral\n'
    path = written(tmp_path, "tweets.tsv", content)
    assert [row["text"] for row in values(path, quotes=False)] == [
        '"Nokia said',
        'it is "good"',
        'and "so"',
    ]
    assert "not valid CSV" in failure(path)
    # Here the quotes close where a cell may end: the rows between them would be swallowed.
    path = written(tmp_path, "b.tsv", 'text\tlabel\n"Nokia said\tpositive\nit is good"\tneutral\n')
    assert "line 3: a cell in quotes runs over several lines and holds tabs" in failure(path)
    assert "--no-quotes" in failure(path)
    assert len(values(path, quotes=False)) == 2


def test_texts_with_labels_as_phrasebank_writes_them(tmp_path: Path) -> None:
    content = "Sales at Café @ Oy rose .@positive\n\nIt fell .@negative\r\n".encode("latin-1")
    path = written(tmp_path, "Sentences.txt", content)
    found = values(path, encoding="latin-1", delimiter="@")
    assert found == [
        {"text": "Sales at Café @ Oy rose .", "label": "positive"},
        {"text": "It fell .", "label": "negative"},
    ]
    path = written(tmp_path, "b.txt", "a@b\nc\n")
    assert failure(path, delimiter="@") == "line 2: has no '@' between a text and its label"


def test_phrasebank_itself(data_dir: Path) -> None:
    path = data_dir / "phrasebank" / "Sentences_AllAgree.txt"
    if not path.is_file():
        pytest.skip("no Financial PhraseBank here")
    found = values(path, encoding="latin-1", delimiter="@")
    assert len(found) == 2264
    assert {row["label"] for row in found} == {"positive", "negative", "neutral"}
    split = values(path.parent / "finbert_split_AllAgree" / "test.csv")
    assert set(split[0]) == {"", "text", "label"}


def test_columns_of_one_name_stay_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,text,text.2,,\na,b,c,d,e\n")
    with pytest.warns(LeanBertWarning) as caught:
        found = values(path)
    assert found == [{"text": "a", "text.3": "b", "text.2": "c", "": "d", ".2": "e"}]
    assert str(caught[0].message) == (
        f"{path}: several columns are named 'text'; a later one is read as 'text.3'"
    )
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text\nb,c", "line 2: more cells than the header has columns"),
        ("a.csv", 'text\n"b', "line 2: not valid CSV (unexpected end of data)"),
        ("a.csv", "text,n\na\rb,1\n", "line 2: not valid CSV (a carriage return stands outside"),
        ("a.csv", b"PK\x03\x04", "is a ZIP archive or an Excel workbook"),
        ("a.jsonl", '{"text": "a"}\n{"text": ', "line 2: not valid JSON"),
        ("a.jsonl", '{"text": "a"}\n\n["a"]', "line 3: expected a JSON object, got list"),
        ("a.jsonl", '{"a": 1, "b": 2, "a": 3}', "line 1: not valid JSON (the key 'a' stands in it"),
        ("a.jsonl", '{"a": NaN}', "line 1: not valid JSON (NaN is not JSON)"),
        ("a.jsonl", '{"a": 1e400}', "line 1: not valid JSON (the number 1e400 is too large)"),
        ("a.jsonl", "[" * 100_000, "line 1: not valid JSON"),
        ("a.jsonl", b"\x1f\x8b\x08", "is compressed with gzip; its name should end in .gz, or"),
        ("a.xml", "a", "cannot read .xml files; use .txt, .csv, .tsv, .jsonl, .ndjson, .parquet, "),
        ("a.xml.gz", "a", "cannot read .xml files; use .txt, .csv"),
        ("a.gz", "a", "nothing says its format before .gz; use .txt, .csv"),
        ("a", "a", "its name has no ending; use .txt"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    assert failure(written(tmp_path, name, content)).startswith(said)


def test_large_cells_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text\n" + "a" * 500_000 + "\n")
    assert len(values(path)[0]["text"]) == 500_000


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert failure(tmp_path / "a.csv") == "No such file or directory"
    assert failure(tmp_path / "a") == "No such file or directory"
    (tmp_path / "b.csv").mkdir()
    assert failure(tmp_path / "b.csv") == "Is a directory"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoding": "latin-17"}, "--encoding latin-17: Python knows no such text encoding"),
        ({"encoding": "hex"}, "--encoding hex: Python knows no such text encoding"),
        ({"delimiter": "ab"}, "--delimiter 'ab': expected one character, or tab, comma, semicolon"),
        ({"delimiter": '"'}, "--delimiter"),
        ({"format": "xml"}, f"the format 'xml' is unknown; use {', '.join(FORMATS[:-1])} or"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        ReadOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(said)


def test_a_row_says_why_it_has_no_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"a": 1, "b": null, "c": true, "d": {"e": 1}}\n')
    [row] = read_rows(path)
    for column, said in [
        ("a", "'a' holds the number 1, not a text"),
        ("b", "'b' holds nothing (null), not a text"),
        ("c", "'c' holds true, not a text"),
        ("d", "'d' holds a dict, not a text"),
        ("x", "no column 'x'; it has 'a', 'b', 'c' and 'd' (pass --text-column)"),
    ]:
        with pytest.raises(InputError) as caught:
            row.text(column)
        assert str(caught.value) == f"{path}: line 1: {said}"


def test_a_table_says_which_column_it_lacks(tmp_path: Path) -> None:
    with open_table(written(tmp_path, "a.csv", "a,b\n1,2\n")) as table:
        table.require("b", "--label-column")
        with pytest.raises(InputError, match=r"no column 'c'; it has 'a' and 'b' \(pass --label"):
            table.require("c", "--label-column")
    with (
        open_table(written(tmp_path, "a.txt", "a\n")) as table,
        pytest.raises(InputError, match="for lines such as text@label pass --delimiter @"),
    ):
        table.require("label", "--label-column")


@pytest.mark.skipif(sys.platform == "win32", reason="has no FIFOs")
def test_pipes_are_read_once_in_any_format(tmp_path: Path) -> None:
    def feed(path: Path, content: bytes) -> None:
        threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()

    bare, named = tmp_path / "fifo", tmp_path / "fifo.csv"
    for path in (bare, named):
        os.mkfifo(path)
        assert survey(path) is None
    feed(bare, b"one\ntwo\n")
    assert values(bare) == [{"text": "one"}, {"text": "two"}]
    feed(named, b"text,n\none,1\n")
    assert values(named) == [{"text": "one", "n": "1"}]
    feed(bare, b'{"text": "one"}\n')
    assert values(bare, format="jsonl") == [{"text": "one"}]


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "leanbert\[bulk\]"'):
        values(path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no FIFOs")
def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "news.parquet"
    parquet.write_table(pyarrow.table({"text": ["profit rose", None], "n": [1, 2]}), path)
    rows = list(read_rows(path))
    assert [row.values for row in rows] == [
        {"text": "profit rose", "n": 1},
        {"text": None, "n": 2},
    ]
    assert survey(path) == Survey(2, ("text", "n"))
    with pytest.raises(InputError, match=r"row 2: 'text' holds nothing \(null\)"):
        rows[1].text("text")
    fifo = tmp_path / "fifo.parquet"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(path.read_bytes(),), daemon=True).start()
    assert values(fifo) == [row.values for row in rows]
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a Parquet file" in failure(path)


def test_json_lines_name_their_own_columns(tmp_path: Path) -> None:
    lines = [{"text": "a"}, {"text": "b", "extra": 1}, {"first": 0, "text": "c"}]
    path = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    with open_table(path) as table:
        assert table.columns is None
    assert survey(path) == Survey(3, ("text", "extra", "first"))
