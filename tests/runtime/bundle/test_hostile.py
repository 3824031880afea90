"""Bundles and inputs made to confuse: each gives one clear line, never a traceback."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline, verify
from leanbert.bundle import Bundle
from leanbert.cli import main
from leanbert.errors import (
    BundleCorruptError,
    InputError,
    LeanBertWarning,
    TaskError,
)
from leanbert.files import whole_file
from tests.helpers.tiny_bundles import read_content, reseal

CONFIGS: list[dict[str, Any]] = [
    {"id2label": None, "num_labels": "x"},
    {"id2label": None, "num_labels": -1},
    {"pad_token_id": "x"},
    {"pad_token_id": [1]},
    {"pad_token_id": -1},
]


@pytest.mark.parametrize("change", CONFIGS, ids=json.dumps)
def test_values_of_the_config(bundle_copy: Path, change: dict[str, Any]) -> None:
    path = bundle_copy / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    reseal(bundle_copy, read_content(bundle_copy))
    with pytest.raises(BundleCorruptError, match=r"config\.json: \w+ is"):
        Bundle.open(bundle_copy)


def test_roberta_without_a_pad_token(bundle_copy: Path) -> None:
    path = bundle_copy / "config.json"
    config = json.loads(path.read_text())
    config |= {"model_type": "roberta", "pad_token_id": None, "max_position_embeddings": 514}
    path.write_text(json.dumps(config))
    reseal(bundle_copy, read_content(bundle_copy))
    assert Bundle.open(bundle_copy).config.max_tokens == 512


@pytest.mark.parametrize("length", [-1, 0, 3, 10**30, "32", None, 8.5])
def test_a_max_length_that_cannot_be(bundle_copy: Path, length: object) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "max_length": length})
    with pytest.raises(BundleCorruptError, match="max_length"):
        Bundle.open(bundle_copy)


@pytest.mark.parametrize("name", ["leanbert.json", "config.json"])
def test_json_too_deep_to_read(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).write_text("[" * 200_000)
    if name != "leanbert.json":
        reseal(bundle_copy, read_content(bundle_copy))
    with pytest.raises(BundleCorruptError, match=name):
        Bundle.open(bundle_copy)


def test_a_golden_pair_that_is_no_text(bundle_copy: Path) -> None:
    content = read_content(bundle_copy)
    content["golden"]["texts"][0]["text_pair"] = 5
    reseal(bundle_copy, content)
    with pytest.raises(BundleCorruptError, match="golden text"):
        verify(bundle_copy)


def test_a_task_of_another_time(bundle_copy: Path) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "task": "ner"})
    with pytest.raises(TaskError, match="is for ner"):
        pipeline(model=bundle_copy)


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


def test_a_graph_file_that_the_manifest_does_not_list(bundle_copy: Path) -> None:
    (bundle_copy / "model.onnx.data").write_bytes(b"weights of somebody else")
    with pytest.raises(BundleCorruptError, match=r"model\.onnx\.data: not listed"):
        Bundle.open(bundle_copy)


def test_a_manifest_that_went_missing_is_noticed(bundle_copy: Path) -> None:
    (bundle_copy / "leanbert.json").unlink()
    with pytest.warns(LeanBertWarning, match="nothing of it is verified"):
        pipeline("text-classification", bundle_copy)
    (bundle_copy / "leanbert.json").mkdir()
    with pytest.raises(BundleCorruptError, match=r"leanbert\.json"):
        Bundle.open(bundle_copy)


@pytest.mark.parametrize("threads", [0, -1, "a", 1.5, True, 10**11])
def test_threads_that_make_no_sense(tiny_bundle: Path, threads: Any) -> None:
    with pytest.raises(InputError, match="threads is"):
        pipeline("text-classification", tiny_bundle, threads=threads)
    with pytest.raises(InputError, match="threads is"):
        verify(tiny_bundle, threads=threads)


@pytest.mark.parametrize("name", ["batch_size", "max_length"])
@pytest.mark.parametrize("value", ["a", 3.5, 0, -1, True])
def test_counts_that_make_no_sense(classify: Any, name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is"):
        classify(["profit"], **{name: value})


def test_transformers_names_of_truncation(classify: Any) -> None:
    long = "profit " * 100
    assert classify(long, truncation="longest_first") == classify(long, truncation=True)
    with pytest.raises(InputError, match="longer than 32 tokens"):
        classify(long, truncation="do_not_truncate")
    with pytest.raises(InputError, match="truncation is 'only_first'"):
        classify(long, truncation="only_first")


def test_few_tokenizers_are_kept(classify: Any) -> None:
    wanted = classify("profit rose " * 20, max_length=8, truncation=True)
    for length in [*range(5, 30), 8]:
        got = classify("profit rose " * 20, max_length=length, truncation=True)
    assert got == wanted
    assert len(classify.runner.tokenizer._copies) <= 4


@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(path.read_text)
        with whole_file(path) as file:
            file.write("all of it")
        assert read.result(timeout=30) == "all of it"
    assert path.is_fifo()


def test_a_directory_is_no_output(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "-m", str(tiny_bundle), "-o", str(tmp_path), "profit"]) == 2
    assert capsys.readouterr().err == (
        f"leanbert: {tmp_path}: is a directory; -o names the file to write\n"
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
