"""Inputs of the command: what cannot be read is one line, what can keeps what it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanbert.cli import main


@pytest.mark.parametrize(
    ("name", "data", "encoding", "word"),
    [
        ("a.txt", b"profit\n", "undefined", "encoding"),
        ("a.txt", b"profit\n", "hex", "encoding"),
        ("a.txt", b"p\n\xff\n", "utf-8", "line 2"),
        ("a.txt", b"p\0r", "utf-16", "a.txt"),
        ("a.jsonl", b"[" * 200_000, "utf-8", "line 1"),
        ("a.jsonl", b"5\n", "utf-8", "line 1"),
        ("a.jsonl", b'{"text": 5}\n', "utf-8", "line 1"),
    ],
)
def test_inputs_that_cannot_be_read(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, data: bytes, encoding: str, word: str,
) -> None:  # fmt: skip
    path = tmp_path / name
    path.write_bytes(data)
    code = main(["predict", "-m", str(tiny_bundle), "-i", str(path), "--encoding", encoding])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("leanbert: ")
    assert error.count("\n") == 1
    assert word in error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-le"])
def test_a_mark_of_the_byte_order_is_no_text(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    path = tmp_path / "a.txt"
    start = "" if encoding == "utf-16" else "\ufeff"  # utf-16 writes its own
    path.write_bytes((start + "profit rose\nloss fell\n").encode(encoding))
    assert main(["predict", "-m", str(tiny_bundle), "-i", str(path), "--encoding", encoding]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(label, text) for label, _, text in lines] == [
        ("positive", "profit rose"),
        ("negative", "loss fell"),
    ]


def test_a_directory_is_no_output(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "-m", str(tiny_bundle), "-o", str(tmp_path), "profit"]) == 2
    assert capsys.readouterr().err == (
        f"leanbert: {tmp_path}: is a directory; name the file to write\n"
    )


def test_a_true_label_in_the_input_stays(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "profit rose", "label": "gold"}) + "\n")
    assert main(["predict", "-m", str(tiny_bundle), "-i", str(path), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["label"], row["predicted_label"]) == ("gold", "positive")
    assert row["score"] > 0.5


@pytest.mark.parametrize(
    "line", ['{"text": "a", "n": NaN}', '{"text": "a", "n": ' + "9" * 5000 + "}"]
)
def test_numbers_that_json_or_python_cannot_hold(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    assert main(["predict", "-m", str(tiny_bundle), "-i", str(path), "--json"]) == 2
    assert "line 1: not valid JSON" in capsys.readouterr().err
