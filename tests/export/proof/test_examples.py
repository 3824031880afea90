"""Calibration files, and the split of their texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from leanbert.records import ReadOptions
from leanbert_export.proof.examples import Examples, read_examples

LABELS = {0: "positive", 1: "negative", 2: "neutral"}


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_txt_has_a_text_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "profit rose\n\n  \nsales fell, too\n")
    assert read_examples(path, LABELS) == Examples(["profit rose", "sales fell, too"])


def test_csv_with_labels_by_name_and_number(tmp_path: Path) -> None:
    rows = 'id,said,mood\n1,"rose, again",POSITIVE\n2,"two\nlines",1\n3, ,none\n4,营业, Neutral \n'
    path = written(tmp_path, "a.CSV", "\ufeff" + rows)
    found = read_examples(path, LABELS, text_column="said", label_column="mood")
    assert found == Examples(["rose, again", "two\nlines", "营业"], [0, 1, 2])
    assert read_examples(path, LABELS, text_column="said").labels is None


def test_jsonl_with_labels(tmp_path: Path) -> None:
    lines = '{"text": "a", "label": "negative"}\n\n{"text": "b", "label": 2}\n'
    found = read_examples(written(tmp_path, "a.jsonl", lines), LABELS, label_column="label")
    assert found == Examples(["a", "b"], [1, 2])


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.txt", "one\n", {}, "a.txt: 1 texts; calibration needs two at least"),
        (
            "a.txt",
            "one\ntwo\n",
            {"label_column": "label"},
            "no column 'label'; for lines such as text@label pass --delimiter @",
        ),
        ("a.csv", "words,label\na,0\nb,1\n", {}, "no column 'text'; it has 'words' and 'label' (p"),
        ("a.csv", "", {}, "a.csv: no column 'text'; it has none"),
        (
            "a.csv",
            "text,label\na,0\nb,sad\n",
            {"label_column": "label"},
            "a.csv: line 3: the label 'sad' is not the model's; it has 0 positive, 1 negative, ",
        ),
        ("a.csv", "text,label\na,0\nb\n", {"label_column": "label"}, "line 3: no label in"),
        ("a.csv", "text\na\nb\n", {"label_column": "mood"}, "no column 'mood'; it has 'text'"),
        ("a.jsonl", '{"text": "a"}\n{"words": "b"}\n', {}, "line 2: no column 'text'; it has"),
        ("a.jsonl", '{"text": "a"}\nb\n', {}, "a.jsonl: line 2: not valid JSON"),
        ("a.xlsx", "text\na\nb\n", {}, "a.xlsx: cannot read .xlsx files; use .txt, .csv"),
    ],
)  # fmt: skip
def test_one_line_says_what_and_where(
    name: str, text: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_examples(path, LABELS, **options)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_no_such_file_and_other_encodings(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    with pytest.raises(InputError, match=r"No such file"):
        read_examples(path, LABELS)
    content = '{"text": "Gewinn \xfcber"}\n' if suffix == "jsonl" else "text\nGewinn \xfcber\n"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"(?i)utf-8") as caught:
        read_examples(path, LABELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "most", "calibrating"),
    [(2, 4000, 1), (3, 4000, 2), (4, 4000, 2), (200, 4000, 133), (90, 10, 80), (1, 4000, 1)],
)
def test_split(count: int, most: int, calibrating: int) -> None:
    texts = [f"text {i}" for i in range(count)]
    labels = [i % 3 for i in range(count)]
    examples = Examples(texts, labels)
    chosen, held = examples.split(most)
    assert len(chosen.texts) == calibrating
    assert len(held.texts) == (count - calibrating if count > 1 else 1)
    if count > 1:
        assert sorted([*chosen.texts, *held.texts]) == sorted(texts)
    for part in (chosen, held):
        assert part.labels is not None
        assert [int(str(text).split()[1]) % 3 for text in part.texts] == list(part.labels)
        assert list(part.texts) == [text for text in texts if text in part.texts]
    assert examples.split(most) == (chosen, held)
    if count == 200:
        assert list(chosen.texts) != texts[:calibrating]  # a file in order of its labels
        assert Examples(texts).split(most)[0].texts == chosen.texts


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"question": f"Who is {i}?", "context": f"{i} is there."} for i in range(3)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = read_examples(path, {}, text_column="question", pair_column="context")
    assert found.texts == [(row["question"], row["context"]) for row in rows]
    with pytest.raises(InputError, match=r"pairs\.jsonl: line 1: no column 'answer'"):
        read_examples(path, {}, text_column="question", pair_column="answer")


def test_files_as_their_publishers_ship_them(tmp_path: Path) -> None:
    path = tmp_path / "Sentences.txt"
    path.write_bytes("Café @ Oy rose .@positive\nIt fell .@negative\n".encode("latin-1"))
    reading = ReadOptions(encoding="latin-1", delimiter="@")
    found = read_examples(path, LABELS, label_column="label", reading=reading)
    assert found == Examples(["Café @ Oy rose .", "It fell ."], [0, 1])
    path = written(tmp_path, "train.csv", "\ttext\tlabel\n0\ta, b\tneutral\n1\tc\tpositive\n")
    assert read_examples(path, LABELS, label_column="label") == Examples(["a, b", "c"], [2, 0])
