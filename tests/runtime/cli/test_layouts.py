"""Files in the layouts of public data sets, and documents in files of every form."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from leanbert.records import open_table
from tests.helpers.command import Command

TEXTS = ["profit rose at Café @ Oy", 'a "bad" loss, again', "the company said"]
TRUE = ["positive", "negative", "neutral"]
BEST = ["positive", "negative", "neutral"]


def phrasebank(path: Path) -> list[object]:
    """``text@label``, latin-1, lines that end as on Windows."""
    lines = [f"{text}@{label}\r\n" for text, label in zip(TEXTS, TRUE, strict=True)]
    path.with_suffix(".txt").write_bytes("".join(lines).encode("latin-1"))
    return [path.with_suffix(".txt"), "--encoding", "latin-1", "--delimiter", "@"]


def fiqa(path: Path) -> list[object]:
    """CSV of quoted cells, some of which hold lists in quotes, with a sentiment in numbers."""
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence", "snippets", "target", "sentiment_score", "label"])
        for text, label in zip(TEXTS, TRUE, strict=True):
            writer.writerow([text, f"['{text[:5]}', \"it's\"]", "Café, Oy", "-0.25", label])
    return [path.with_suffix(".csv"), "--text-column", "sentence"]


def tweets_with_tabs(path: Path) -> list[object]:
    """TSV in which quotes are characters as any other."""
    lines = ["id\ttext\tlabel", *(f"{i}\t{TEXTS[i]}\t{TRUE[i]}" for i in range(3))]
    path.with_suffix(".tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [path.with_suffix(".tsv"), "--no-quotes"]


def tweets_with_quotes(path: Path) -> list[object]:
    """CSV as spreadsheets write it: a mark of UTF-8, quotes doubled, a line feed in a cell."""
    cells = [text.replace('"', '""').replace(" Oy", "\nOy") for text in TEXTS]
    lines = ["text,label", *(f'"{cells[i]}",{TRUE[i]}' for i in range(3))]
    path.with_suffix(".csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    return [path.with_suffix(".csv")]


@pytest.mark.parametrize("layout", [phrasebank, fiqa, tweets_with_tabs, tweets_with_quotes])
def test_public_sets_are_read_as_they_are_published(
    command: Command, predict: list[object], tmp_path: Path, layout: object
) -> None:
    assert callable(layout)
    output = tmp_path / "answers.jsonl"
    command(*predict, "-i", *layout(tmp_path / "published"), "-o", output)
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["predicted_label"] for row in rows] == BEST
    assert [row["label"] for row in rows] == TRUE
    texts = [(row.get("sentence") or row["text"]).replace("\n", " ") for row in rows]
    assert texts == TEXTS


DOCUMENTS = [("a", "Profit rose. It fell."), ("b", "A record."), ("c", "A loss. A gain. The bank.")]
PARTS = [
    ("0", "a", "Profit rose."), ("0", "a", "It fell."), ("1", "b", "A record."),
    ("2", "c", "A loss."), ("2", "c", "A gain."), ("2", "c", "The bank."),
]  # fmt: skip


def written(path: Path) -> Path:
    """The documents as a file of the form that the ending says."""
    if path.suffix in {".parquet", ".arrow", ".feather"}:
        pyarrow = pytest.importorskip("pyarrow")
        table = pyarrow.table({"id": [i for i, _ in DOCUMENTS], "text": [t for _, t in DOCUMENTS]})
        if path.suffix == ".parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, path)
        else:
            pytest.importorskip("pyarrow.feather").write_feather(table, str(path))
        return path
    if ".jsonl" in path.suffixes:
        lines = [json.dumps({"id": i, "text": text}) for i, text in DOCUMENTS]
    else:
        mark = "\t" if ".tsv" in path.suffixes else ","
        lines = [f"id{mark}text", *(f"{i}{mark}{text}" for i, text in DOCUMENTS)]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    "given", [".csv", ".csv.gz", ".tsv", ".jsonl", ".jsonl.gz", ".parquet", ".arrow", ".feather"]
)
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_sentences_have_the_numbers_of_their_documents(
    command: Command, predict: list[object], tmp_path: Path, given: str, ending: str
) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path, output = written(tmp_path / f"documents{given}"), tmp_path / f"parts{ending}"
    command(*predict, "--split", "sentences", "-i", path, "-o", output)
    with open_table(output) as table:
        rows = [row.values for row in table.rows]
    if ending == ".jsonl":  # a document is one object with its sentences
        found = [
            (str(number), row["id"], part["text"])
            for number, row in enumerate(rows)
            for part in row["sentences"]
        ]
    else:
        found = [(str(row["document"]), row["id"], row["sentence"]) for row in rows]
    assert found == PARTS


def test_each_file_of_text_in_a_folder_is_a_document(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    for name, text in DOCUMENTS:
        (folder / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
    command(*predict, "--split", "sentences", "-i", folder, "-o", tmp_path / "parts.csv")
    with open_table(tmp_path / "parts.csv") as table:
        found = [(row.values["document"], row.values["sentence"]) for row in table.rows]
    assert found == [(number, sentence) for number, _, sentence in PARTS]
