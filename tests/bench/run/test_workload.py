from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from leanbert.errors import InputError
from leanbert.records import ReadOptions
from leanbert_bench.run.workload import (
    Workload,
    bundled_workload,
    match_labels,
    mixed_texts,
    read_conll,
    read_squad,
    read_workload,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_txt_has_one_text_a_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\ufeffone\n\n  \ntwo, é\n", encoding="utf-8")
    found = read_workload(path)
    assert (found.texts, found.labels, found.rows) == (["one", "two, é"], None, 2)


def test_csv_columns_and_limit(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("y,body\n" + "".join(f'l{i},"a, {i}"\n' for i in range(20)))
    found = read_workload(path, text_column="body", label_column="y", limit=5)
    assert found == read_workload(path, text_column="body", label_column="y", limit=5)
    assert (found.rows, len(found.texts)) == (20, 5)
    assert found.labels == [f"l{text.removeprefix('a, ')}" for text in found.texts]


def test_order_depends_on_the_turn_only(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(map(str, range(30))))
    found = read_workload(path)
    assert found.shuffled(1) == found.shuffled(1) != found.shuffled(2)
    assert sorted(found.shuffled(1)) == sorted(found.texts)


@pytest.mark.parametrize(
    ("name", "content", "label_column", "message"),
    [
        ("a.txt", b"\n \n", None, "has no texts"),
        ("a.txt", b"x\n", "label", "no column 'label'; for lines such as text@label pass"),
        ("a.txt", b"x\n\xfa\n", None, "line 2: not valid utf-8"),
        ("a.txt", b"x\0y\0", None, "looks like UTF-16 without its mark; pass --encoding utf-16-le"),
        ("a.csv", b"text\nx\n", "label", "no column 'label'; it has 'text'"),
        ("a.csv", b"", None, "no column 'text'"),
        ("a.json", b"", None, "cannot read .json files; use .txt, .csv"),
    ],
)
def test_unusable_files_are_one_line(
    tmp_path: Path, name: str, content: bytes, label_column: str | None, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_workload(path, label_column=label_column)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_workload(tmp_path / "a.txt")


def test_tabs_separate_where_the_header_has_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ttext\tlabel\n7\tSales, net , rose\tpositive\n")
    read = read_workload(path, label_column="label")
    assert (read.texts, read.labels) == (["Sales, net , rose"], ["positive"])


def test_our_own_sample_is_labelled_evenly_and_as_long_as_news() -> None:
    found = bundled_workload()
    assert found.bundled
    assert found.labels is not None
    assert Counter(found.labels) == dict.fromkeys(("positive", "negative", "neutral"), 39)
    assert len(set(found.texts)) == len(found.texts) == 117
    words = sorted(len(text.split()) for text in found.texts)
    assert words[0] <= 4
    assert 15 <= words[len(words) // 2] <= 25
    assert words[-1] > 60
    assert bundled_workload(10).rows == 117
    assert len(bundled_workload(10).texts) == 10


def test_labels_are_matched_by_name_in_any_case_or_by_number() -> None:
    found = Workload("t.csv", "", 3, ["a", "b", "c"], ["Positive", "1", " neutral "])
    assert match_labels(found, ["positive", "negative", "neutral"], "t.csv") == [0, 1, 2]
    with pytest.raises(InputError, match=r"t\.csv: the label 'Positive' is none .*: x, y"):
        match_labels(found, ["x", "y"], "t.csv")


def test_mixed_texts_are_a_series_of_short_and_long_ones() -> None:
    found = mixed_texts(0, 200)
    assert found[50:60] == mixed_texts(50, 10)
    lengths = [len(text.split()) for text in found]
    assert 3 <= min(lengths) < 6
    assert 300 < max(lengths) <= 400
    assert 25 < sorted(lengths)[100] < 48  # log-uniform: about the root of 3 * 400


def test_a_short_list_is_gone_through_again() -> None:
    found = Workload("t.txt", "", 3, ["a", "b", "c"], None)
    drawn = found.drawn(1, 7)
    assert len(drawn) == 7
    assert sorted(drawn[:3]) == sorted(drawn[3:6]) == ["a", "b", "c"]
    assert drawn == found.drawn(1, 7)


def test_pairs_have_a_column(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,score\none,uno,4.5\ntwo,dos,1\n")
    found = read_workload(path, text_column="a", pair_column="b", label_column="score")
    assert (found.texts, found.pairs, found.labels) == (
        ["one", "two"],
        ["uno", "dos"],
        ["4.5", "1"],
    )


def test_squad(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    questions = [
        {"question": "Who?", "answers": [{"text": "Ada"}, {"text": "Ada L."}]},
        {"question": "Why?", "answers": [], "is_impossible": True},
    ]
    content = {"data": [{"paragraphs": [{"context": "Ada was.", "qas": questions}]}]}
    path.write_text(json.dumps(content))
    found = read_squad(path)
    assert found.items[0] == {"question": "Who?", "context": "Ada was."}
    assert found.truths == [["Ada", "Ada L."], [""]]
    assert len(read_squad(path, limit=1).items) == 1
    path.write_text('{"data": [{}]}')
    with pytest.raises(InputError, match="not a SQuAD file"):
        read_squad(path)


def test_conll(tmp_path: Path) -> None:
    path = tmp_path / "dev.conll"
    path.write_text("-DOCSTART- O\n\nAda\tB-PER\nmet O\n\n\nIBM NNP B-ORG\n")
    found = read_conll(path)
    assert found.texts == ["Ada met", "IBM"]
    assert found.tags == [["B-PER", "O"], ["B-ORG"]]
    path.write_text("Ada B-PER\nmet\n")
    with pytest.raises(InputError, match=r"line 2: expected a word and its tag, got 'met'"):
        read_conll(path)


def test_files_as_their_publishers_ship_them(tmp_path: Path) -> None:
    path = tmp_path / "Sentences.txt"
    path.write_bytes("Café @ Oy rose .@positive\nIt fell .@negative\n".encode("latin-1"))
    reading = ReadOptions(encoding="latin-1", delimiter="@")
    found = read_workload(path, label_column="label", reading=reading)
    assert found.texts == ["Café @ Oy rose .", "It fell ."]
    assert found.labels == ["positive", "negative"]
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a", "score": 4.5}\n{"text": "b\\u2028", "score": 1}\n')
    found = read_workload(path, label_column="score")
    assert (found.texts, found.labels) == (["a", "b\u2028"], ["4.5", "1"])
    path.write_text('{"text": 5}\n')
    with pytest.raises(InputError, match="line 1: 'text' holds the number 5, not a text"):
        read_workload(path)


def test_words_and_tags_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "dev.conll"
    path.write_bytes("Café B-ORG\n".encode("latin-1"))
    with pytest.raises(InputError, match="line 1: not valid utf-8"):
        read_conll(path)
    assert read_conll(path, reading=ReadOptions(encoding="latin-1")).texts == ["Café"]
