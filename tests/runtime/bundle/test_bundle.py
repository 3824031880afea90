"""A changed, incomplete or hostile bundle is refused with one line that names the file."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import Bundle, pipeline, verify
from leanbert.bundle import file_sha256
from leanbert.cli import main
from leanbert.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    BundleVersionError,
    EngineError,
    LeanBertWarning,
    TaskError,
)
from leanbert.pipelines import embedded_bundle
from tests.helpers.tiny_bundles import LABELS, read_content, reseal

FILES = ["config.json", "leanbert.json", "model.onnx", "tokenizer.json"]


def refused(capsys: pytest.CaptureFixture[str], folder: Path, named: str) -> BundleError:
    """The error that every way into ``folder`` gives: API, verify, and three commands."""
    with pytest.raises(BundleError) as caught:
        pipeline("text-classification", folder)
    message = str(caught.value)
    assert "\n" not in message
    assert named in message
    with pytest.raises(type(caught.value)):
        verify(folder)
    capsys.readouterr()
    assert main(["predict", "-m", str(folder), "growth"]) == 1
    assert main(["verify", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("leanbert: ") and named in line for line in lines)
    assert "Traceback" not in err
    return caught.value


def test_a_bundle_as_it_was_made_opens(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert bundle.task == "text-classification"
    assert list(bundle.config.id2label.values()) == list(LABELS)
    assert bundle.max_length == 32
    assert bundle.size == sum(path.stat().st_size for path in tiny_bundle.iterdir())
    assert sorted(path.name for path in tiny_bundle.iterdir()) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.003, 0.1, 0.37, 0.5, 0.92, 1.0])
@pytest.mark.parametrize("bits", [0x01, 0x80])
def test_a_flipped_bit_in_any_file(
    bundle_copy: Path, name: str, where: float, bits: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_copy / name
    data = bytearray(path.read_bytes())
    data[round(where * (len(data) - 1))] ^= bits
    path.write_bytes(data)
    refused(capsys, bundle_copy, str(path))


def test_every_single_byte_of_the_manifest_counts(bundle_copy: Path) -> None:
    path = bundle_copy / "leanbert.json"
    good = path.read_bytes()
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 0x02]) + good[i + 1 :])
        with pytest.raises(BundleError, match=r"leanbert\.json"):
            Bundle.open(bundle_copy)
    path.write_bytes(good)
    Bundle.open(bundle_copy)


@pytest.mark.parametrize("name", ["config.json", "model.onnx", "tokenizer.json"])
def test_a_missing_file(bundle_copy: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle_copy / name).unlink()
    error = refused(capsys, bundle_copy, str(bundle_copy / name))
    assert isinstance(error, BundleNotFoundError)


@pytest.mark.parametrize("name", ["config.json", "model.onnx", "tokenizer.json"])
def test_a_file_that_the_manifest_does_not_list(
    bundle_copy: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = read_content(bundle_copy)
    del content["files"][name]
    reseal(bundle_copy, content, hash_files=False)
    assert isinstance(refused(capsys, bundle_copy, name), BundleCorruptError)


def test_a_directory_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing"
    assert isinstance(refused(capsys, missing, str(missing)), BundleNotFoundError)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert isinstance(refused(capsys, empty, str(empty)), BundleNotFoundError)
    file = tmp_path / "file"
    file.touch()
    assert isinstance(refused(capsys, file, str(file)), BundleNotFoundError)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_format(
    bundle_copy: Path, version: object, capsys: pytest.CaptureFixture[str]
) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "format_version": version})
    error = refused(capsys, bundle_copy, "leanbert.json")
    assert isinstance(error, BundleVersionError)
    assert "pip install -U leanbert" in str(error)


@pytest.mark.parametrize("resealed", [False, True])
@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_graph(
    bundle_copy: Path, resealed: bool, keep: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_copy / "model.onnx"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    if resealed:
        reseal(bundle_copy, read_content(bundle_copy))
    assert isinstance(refused(capsys, bundle_copy, str(path)), BundleCorruptError)


@pytest.mark.parametrize("declared", [True, False])
def test_labels_that_are_not_those_of_the_logits(
    make_bundle: Callable[..., Path], declared: bool
) -> None:
    folder = make_bundle(labels=("positive", "negative"), logits=3, declared=declared)
    with pytest.raises(BundleCorruptError) as caught:
        classify = pipeline("text-classification", folder)
        assert not declared, "what the graph declares is checked before any text"
        classify("growth")
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder / "config.json") in message
    assert "2 labels" in message
    assert "3 logits" in message


@pytest.mark.parametrize("task", [None, "text-classification"])
def test_labels_checked_by_the_command(
    make_bundle: Callable[..., Path], task: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_bundle(labels=("a", "b", "c", "d"), logits=3, declared=False)
    words = ["predict", "-m", str(folder), "growth"] + (["--task", task] if task else [])
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"leanbert: .*config\.json.*\n", err)


@pytest.mark.parametrize(
    "id2label",
    [["a", "b", "c"], {"0": "a", "1": "b", "3": "c"}, {"x": "a"}, {"1": "a", "2": "b", "3": "c"}],
)
def test_labels_that_make_no_sense(
    bundle_copy: Path, id2label: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_copy / "config.json"
    path.write_text(json.dumps({"model_type": "bert", "id2label": id2label}))
    reseal(bundle_copy, read_content(bundle_copy))
    assert isinstance(refused(capsys, bundle_copy, str(path)), BundleCorruptError)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"model_type": 1}', '{"model_type": "bert", "x": \xe9}']
)
def test_a_config_that_is_none(
    bundle_copy: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_copy / "config.json"
    path.write_bytes(text.encode("latin-1"))
    reseal(bundle_copy, read_content(bundle_copy))
    refused(capsys, bundle_copy, str(path))


def test_a_problem_type_that_is_none(
    make_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, make_bundle(problem_type="ranking"), "config.json")


@pytest.mark.parametrize("text", ["", "{}", '{"version": "1.0"}', "{\n\n"])
def test_a_tokenizer_that_is_none(
    bundle_copy: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_copy / "tokenizer.json"
    path.write_text(text)
    reseal(bundle_copy, read_content(bundle_copy))
    assert isinstance(refused(capsys, bundle_copy, str(path)), BundleCorruptError)


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "..",
        "sub/../../outside",
        "/etc/hostname",
        "C:\\x",
        "C:x",
        "sub\\x",
        "\\\\host\\share\\x",
        "nul\0byte",
        "",
    ],
)
def test_a_path_out_of_the_bundle(
    bundle_copy: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = bundle_copy.parent / "outside"
    outside.write_bytes(b"secret")
    content = read_content(bundle_copy)
    content["files"][name] = {"sha256": file_sha256(outside), "size": 6}
    reseal(bundle_copy, content, hash_files=False)
    error = refused(capsys, bundle_copy, "leanbert.json")
    assert isinstance(error, BundleCorruptError)
    assert "leaves the bundle" in str(error)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_link_out_of_the_bundle(
    bundle_copy: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = bundle_copy.parent / "outside"
    outside.mkdir()
    shutil.move(bundle_copy / "tokenizer.json", outside / "tokenizer.json")
    if what == "file":
        (bundle_copy / "tokenizer.json").symlink_to(outside / "tokenizer.json")
    else:
        shutil.copy(outside / "tokenizer.json", bundle_copy)
        (bundle_copy / "sub").symlink_to(outside)
        content = read_content(bundle_copy)
        content["files"]["sub/tokenizer.json"] = content["files"]["tokenizer.json"]
        reseal(bundle_copy, content, hash_files=False)
    named = "tokenizer.json" if what == "file" else "sub/tokenizer.json"
    error = refused(capsys, bundle_copy, str(bundle_copy / named))
    assert isinstance(error, BundleCorruptError)
    assert "link" in str(error)


def test_a_link_to_a_bundle_is_fine(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tiny_bundle)
    assert Bundle.open(tmp_path / "link").manifest is not None


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"files": {"model.onnx": {"size": 3}}},
        {"max_length": "many"},
        {"golden": {"atol": 1.0}},
        {"golden": None},
        {"versions": 3},
        {"operators": []},
    ],
)
def test_a_sealed_manifest_that_makes_no_sense(
    bundle_copy: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), **change}, hash_files=False)
    assert isinstance(refused(capsys, bundle_copy, "leanbert.json"), BundleCorruptError)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "\xff"])
def test_a_manifest_that_is_none(
    bundle_copy: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle_copy / "leanbert.json").write_bytes(text.encode("latin-1"))
    refused(capsys, bundle_copy, "leanbert.json")


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_a_plain_export_loads_but_is_not_verified(
    tiny_bundle: Path, make_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_bundle(manifest=False)
    bundle = Bundle.open(plain)
    assert bundle.manifest is None
    assert bundle.task is None
    assert bundle.max_length == 32  # of max_position_embeddings
    assert bundle.size > 0
    with pytest.raises(
        TaskError, match="does not say its task; pass task=NAME: text-classification, "
    ):
        pipeline(model=plain)
    for text in ("growth", "a bad loss"):
        wanted = pipeline("text-classification", tiny_bundle)(text, top_k=None)
        got = pipeline("text-classification", plain)(text, top_k=None)
        assert [item["label"] for item in got] == [item["label"] for item in wanted]
        np.testing.assert_allclose(
            [item["score"] for item in got], [item["score"] for item in wanted], atol=1e-6
        )
    with pytest.raises(BundleError, match="nothing to verify"):
        verify(plain)
    assert main(["verify", str(plain)]) == 1
    assert capsys.readouterr().err.startswith(f"leanbert: {plain}: ")


@pytest.mark.parametrize(
    "name", ["onnx/model.onnx", "onnx/model_int8.onnx", "model_quantized.onnx"]
)
@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_graphs_where_other_exporters_put_them(make_bundle: Callable[..., Path], name: str) -> None:
    plain = make_bundle(manifest=False)
    (plain / name).parent.mkdir(exist_ok=True)
    (plain / "model.onnx").rename(plain / name)
    assert Bundle.open(plain).model_path == plain / name
    assert pipeline("text-classification", plain)("growth")[0]["label"] == "positive"


@pytest.mark.parametrize(
    ("limit", "config", "wanted"),
    [
        (16, {}, 16),
        (10**30, {}, 32),
        (64, {}, 32),
        (None, {}, 32),
        (None, {"max_position_embeddings": 34, "model_type": "roberta", "pad_token_id": 1}, 32),
        (None, {"max_position_embeddings": None}, 512),
        (20, {"max_position_embeddings": None}, 20),
    ],
)
def test_the_longest_input_of_a_plain_export(
    make_bundle: Callable[..., Path], limit: int | None, config: dict[str, Any], wanted: int
) -> None:
    plain = make_bundle(manifest=False, config=config)
    if limit:
        (plain / "tokenizer_config.json").write_text(json.dumps({"model_max_length": limit}))
    assert Bundle.open(plain).max_length == wanted


@pytest.mark.parametrize("limit", ["512", 0, -1, True, [512]])
def test_a_longest_input_that_is_no_number(make_bundle: Callable[..., Path], limit: object) -> None:
    plain = make_bundle(manifest=False)
    (plain / "tokenizer_config.json").write_text(json.dumps({"model_max_length": limit}))
    with pytest.raises(BundleCorruptError, match=r"model_max_length is .*; expected a number of"):
        Bundle.open(plain)


def test_default_labels(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False, config={"id2label": None, "num_labels": 3})
    assert Bundle.open(plain).config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_ids_outside_the_graph_are_an_engine_error(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    tokenizer = json.loads((plain / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["growth"] = 10**6
    (plain / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EngineError) as caught:
        pipeline("text-classification", plain)("growth")
    assert "model.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_embedded_model_answers_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = embedded_bundle()
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist yet")
    monkeypatch.chdir(tmp_path)
    [answer] = pipeline()("Operating profit rose to a record and the outlook was raised.")
    assert answer["label"] == "positive"
    assert answer["score"] > 0.5
    [answer] = pipeline("sentiment-analysis")("Sales fell sharply and the loss widened.")
    assert answer["label"] == "negative"
    with pytest.raises(TaskError, match="no embedded model"):
        pipeline("feature-extraction")


@pytest.mark.parametrize("cut", [False, True], ids=["changed", "unreadable"])
def test_weights_hashed_while_they_load_are_refused(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    monkeypatch.setattr("leanbert.bundle.bundle._LARGE", 0)  # every file's hash is put off
    path = tmp_path / "copy"
    shutil.copytree(tiny_bundle, path)
    assert pipeline(model=path)("a")
    graph = path / "model.onnx"
    content = bytearray(graph.read_bytes())
    if cut:  # the engine refuses it, too: what is raised is the content
        content[: len(content) // 2] = bytes(len(content) // 2)
    else:
        content[-1] ^= 1
    graph.write_bytes(content)
    with pytest.raises(BundleCorruptError, match=r"model\.onnx: content differs from its sha256"):
        pipeline(model=path)
    with (
        pytest.raises(BundleCorruptError, match="content differs"),
        Bundle.checked_while_loading(path),
    ):
        raise ValueError("of the block")


def test_a_task_of_another_time(bundle_copy: Path) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "task": "ner"})
    with pytest.raises(TaskError, match="is for ner"):
        pipeline(model=bundle_copy)


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


@pytest.mark.parametrize("name", ["leanbert.json", "config.json"])
def test_json_too_deep_to_read(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).write_text("[" * 200_000)
    if name != "leanbert.json":
        reseal(bundle_copy, read_content(bundle_copy))
    with pytest.raises(BundleCorruptError, match=name):
        Bundle.open(bundle_copy)
