"""What the C library refuses, each time with its status and one line that says what and where."""

from __future__ import annotations

import ctypes
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import c_library, tiny_bundles
from tests.helpers.c_library import CLibraryError, Model
from tests.helpers.sentence_directories import describe, write_json
from tests.native.c_library.sealing import change, write_config

Make = Callable[..., Path]


def refusal(path: Path | str | bytes, status: int, **options: Any) -> str:
    """The line with which a bundle is refused."""
    with pytest.raises(CLibraryError) as caught:
        Model(path, **options)
    assert caught.value.status == status, caught.value.line
    assert "\n" not in caught.value.line
    return caught.value.line


def edit(folder: Path, **content: Any) -> Path:
    """Change keys of the manifest and seal it again; the files stay as they are listed."""
    manifest = {**tiny_bundles.read_content(folder), **content}
    tiny_bundles.reseal(folder, manifest, hash_files=False)
    return folder


def test_a_directory_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", "", "x" * 5000):
        line = refusal(path, c_library.NOT_FOUND if len(str(path)) < 1000 else c_library.CORRUPT)
        assert "leanbert.json" in line


def test_a_changed_byte_of_any_file_that_is_read_is_noticed(make_native: Make) -> None:
    path = make_native()
    for name in ("config.json", "tokenizer.json", "model.onnx.data"):
        data = (path / name).read_bytes()
        (path / name).write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        assert f"{name}: content differs from its sha256" in refusal(path, c_library.CORRUPT)
        (path / name).write_bytes(data[:-1])
        assert re.search(rf"{name}: \d+ bytes instead of \d+", refusal(path, c_library.CORRUPT))
        (path / name).write_bytes(data + b" ")
        line = refusal(path, c_library.CORRUPT)
        assert re.search(rf"{name}: (\d+ bytes instead of \d+|.*larger than such a file)", line)
        (path / name).unlink()
        assert f"{name}: cannot be read (No such file" in refusal(path, c_library.NOT_FOUND)
        (path / name).write_bytes(data)
    Model(path).close()


def test_a_changed_manifest_is_noticed(make_native: Make) -> None:
    path = make_native() / "leanbert.json"
    data = path.read_text(encoding="utf-8")
    for changed in (
        data.replace('"licence"', '"License"'),
        data.replace('"max_length": 32', '"max_length": 31'),
        data.replace('"sha256": "', '"sha256": "0', 1),
        data + " ",
    ):
        assert changed != data
        path.write_text(changed, encoding="utf-8")
        assert "was changed after the export" in refusal(path.parent, c_library.CORRUPT)


@pytest.mark.parametrize(
    ("content", "status", "line"),
    [
        ({"task": "question-answering"}, 4, "its task is 'question-answering'; the C library does"),
        ({"task": "fill-mask"}, 4, "its task is 'fill-mask'"),
        ({"task": "a\nb"}, 4, r"its task is 'a\x0ab'"),
        ({"task": 7}, 3, "task is 7; expected a string"),
        ({"max_length": 2}, 3, "max_length is 2; expected a whole number from 4 to 1048576"),
        ({"max_length": 4.0}, 3, "max_length is 4.000000; expected"),
        ({"max_length": 33}, 3, "max_length is 33, but the model has positions for 32 tokens"),
        ({"files": []}, 3, "files is a list of 0; expected an object"),
        ({"files": {}}, 3, "files does not list config.json"),
        ({"files": {"../x": {}}}, 3, "the file name '../x' leaves the bundle"),
        ({"files": {"a\x1b[31m": {}}}, 3, r"'a\x1b[31m'"),
        ({"files": {"a": {"size": 1}}}, 3, "sha256 is missing"),
        ({"files": {"a": {"sha256": "A" * 64, "size": 1}}}, 3, "is not 64 digits of hex"),
        ({"files": {"a": {"sha256": "a" * 64, "size": -1}}}, 3, "size is -1"),
        ({"native": None}, 4, "has no layout for the native engine, which"),
        ({"native": {"format": 9}}, 4, "its layout for the native engine is unusable"),
        ({"format_version": 2}, 4, "bundle format 2 is unknown here"),
        ({"format_version": True}, 4, "bundle format true is unknown here"),
    ],
)
def test_manifests_are_checked(
    make_native: Make, content: dict[str, Any], status: int, line: str
) -> None:
    assert line in refusal(edit(make_native(), **content), status)


def test_the_reason_that_the_export_gave_is_repeated(make_native: Make) -> None:
    path = edit(make_native(), native=None, card={"native engine": "no, hidden size 100"})
    assert "(hidden size 100)" in refusal(path, c_library.UNSUPPORTED).replace("'", "")


def layout(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = tiny_bundles.read_content(path)["native"]
    return found


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        ({"file": "other.data"}, "file 'other.data' is not one of the bundle's"),
        ({"more": 1}, "the layout has the unknown key 'more'"),
        ({"architecture.hidden_size": -1}, "hidden_size is -1"),
        ({"architecture.hidden_size": 1 << 32}, "hidden_size is 4294967296"),
        ({"architecture.hidden_size": 63}, "the engine refuses its layout"),
        ({"architecture.num_layers": 1 << 20}, "num_layers is 1048576"),
        ({"architecture.activation": "mish"}, "activation is 'mish'; expected one of identity"),
        ({"architecture.windows": [1]}, "unknown key 'windows'"),
        ({"tensors.more": {}}, "the unknown tensor 'more'"),
        ({"tensors.embeddings.word": 3}, "embeddings.word is 3; expected an object"),
        ({"tensors.embeddings.word.offset": 1 << 63}, "the engine refuses its layout"),
        ({"tensors.embeddings.word.shape": [1, 2, 3]}, "shape has not one or two sizes"),
        ({"tensors.embeddings.word.dtype": "int4"}, "dtype is 'int4'"),
    ],
)
def test_layouts_are_checked(make_native: Make, edits: dict[str, Any], line: str) -> None:
    path = make_native()
    content = layout(path)
    for place, value in edits.items():
        head, _, rest = place.partition(".")
        if not rest:
            content[head] = value
        elif head == "architecture":
            content[head][rest] = value
        elif rest.rpartition(".")[2] in ("offset", "shape", "dtype"):
            name, _, key = rest.rpartition(".")
            content[head][name][key] = value
        else:
            content[head][rest] = value
    with pytest.raises(CLibraryError) as caught:
        Model(edit(path, native=content))
    assert line in caught.value.line


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"id2label": {"0": "a"}}, "id2label names 1 labels, but the model gives 3 logits"),
        ({"id2label": {"0": "a", "1": "b", "3": "c"}}, "must name each of the logits 0 to 2 once"),
        ({"id2label": {"x": "a"}}, "id2label has the key 'x'; expected a number"),
        ({"id2label": {"0": "a", "1": [], "2": "c"}}, "a label of id2label is a list of 0"),
        ({"id2label": {"0": "a\0b", "1": "", "2": "c"}}, "a label with a null character"),
        ({"problem_type": "ranking"}, "problem_type is 'ranking'; expected one of regression"),
        ({"model_type": None}, "model_type is null; expected a string"),
    ],
)
def test_configs_are_checked(make_native: Make, config: dict[str, Any], line: str) -> None:
    assert line in refusal(write_config(make_native(), **config), c_library.CORRUPT)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}}", b'{"a": NaN}', b"\xff{}", b"[" * 9999])
def test_files_that_are_no_json_are_refused(make_native: Make, data: bytes) -> None:
    path = make_native()
    (path / "config.json").write_bytes(data)
    assert "config.json" in refusal(change(path), c_library.CORRUPT)
    path = make_native()
    (path / "leanbert.json").write_bytes(data)
    with pytest.raises(CLibraryError, match=r"leanbert\.json"):
        Model(path)


def test_other_tokenizers_are_refused_by_name(make_native: Make) -> None:
    path = make_native()
    content = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["type"] = "BPE"
    (path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    line = refusal(change(path), c_library.UNSUPPORTED)
    assert "tokenizer.json: " in line
    assert "BPE" in line


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"model": \xff}'])
def test_a_tokenizer_that_is_no_json_is_corrupt(make_native: Make, data: bytes) -> None:
    path = make_native()
    (path / "tokenizer.json").write_bytes(data)
    assert "tokenizer.json: " in refusal(change(path), c_library.CORRUPT)


def test_pipes_and_folders_are_not_read(make_native: Make) -> None:
    for name in ("config.json", "leanbert.json", "model.onnx.data"):
        path = make_native()
        (path / name).unlink()
        os.mkfifo(path / name)
        assert f"{name}: cannot be read (not a file with content" in refusal(
            path, c_library.CORRUPT
        )
        (path / name).unlink()
        (path / name).mkdir()
        assert name in refusal(path, c_library.CORRUPT)


def test_links_out_of_the_bundle_are_not_followed(make_native: Make, tmp_path: Path) -> None:
    path = make_native()
    moved = tmp_path / "elsewhere"
    (path / "config.json").rename(moved)
    (path / "config.json").symlink_to(moved)
    assert "config.json: a link out of the bundle" in refusal(path, c_library.CORRUPT)


def test_snapshots_of_the_hub_may_link_to_their_blobs(make_native: Make, tmp_path: Path) -> None:
    path = make_native()
    snapshot, blobs = tmp_path / "models--a--b/snapshots/c0ffee", tmp_path / "models--a--b/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for i, file in enumerate(sorted(path.iterdir())):
        file.rename(blobs / str(i))
        (snapshot / file.name).symlink_to(Path("../../blobs") / str(i))
    Model(snapshot).close()


def test_files_have_a_largest_size(make_native: Make) -> None:
    path = make_native()
    with (path / "leanbert.json").open("r+b") as file:
        file.truncate(1 << 40)  # of holes
    assert "larger than such a file may be" in refusal(path, c_library.CORRUPT)
    path = make_native()
    manifest = tiny_bundles.read_content(path)
    manifest["files"]["config.json"]["size"] = 1 << 39
    assert "such a file may have 16777216" in refusal(edit(path, **manifest), c_library.CORRUPT)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"steps": ["2_Dense"]}, "Dense (2_Dense)"),
        ({"steps": ["2_LayerNorm"]}, "LayerNorm (2_LayerNorm)"),
        ({"first": "0_Transformer"}, "Transformer (0_Transformer)"),
        ({"pooling": {"pooling_mode": "attention"}}, "the pooling 'attention'"),
        ({"transformer": {"model_args": {"attn_dropout": 1}}}, "the argument 'attn_dropout'"),
        ({"transformer": {"backend": "onnx"}}, "the setting 'backend'"),
        ({"settings": {"model_type": "SparseEncoder"}}, "the model_type 'SparseEncoder'"),
    ],
)
def test_what_would_be_dropped_of_sentence_transformers_is_refused(
    make_native: Make, options: dict[str, Any], line: str
) -> None:
    path = change(describe(make_native("feature-extraction"), **options))
    assert line in refusal(path, c_library.UNSUPPORTED)


def test_a_module_that_is_code_of_its_own_is_refused(make_native: Make) -> None:
    path = make_native("feature-extraction")
    write_json(path / "modules.json", [{"path": "", "type": "somebody.Transformer"}])
    assert "code of its own" in refusal(change(path), c_library.UNSUPPORTED)


def test_a_wrong_module_is_laid_on_the_list_and_not_on_the_file_read_before(
    make_native: Make,
) -> None:
    path = describe(make_native("feature-extraction"))
    modules = json.loads((path / "modules.json").read_text())
    del modules[1]["path"]
    write_json(path / "modules.json", modules)
    assert "/modules.json: " in refusal(change(path), c_library.CORRUPT)


def test_lines_hold_no_control_characters_and_fit_the_buffer(tmp_path: Path) -> None:
    name = "\x1b[31m\n€" + "ü" * 9
    line = refusal(str(tmp_path / name).encode() + b"\xff", c_library.NOT_FOUND)
    assert "\\x1b[31m\\x0a€ü" in line
    assert "\\xff" in line
    for size in (1, 2, 40, 41, 42, 43, 60):
        with pytest.raises(AssertionError if size == 1 else CLibraryError) as caught:
            Model(tmp_path / name, message_size=size)
        if size > 1:
            assert len(str(caught.value).partition(": ")[2].encode()) < size


def test_calls_are_checked(embedded: Model, make_native: Make) -> None:
    with pytest.raises(CLibraryError, match="the model's task is text-classification, this") as e:
        embedded.tag(["x"])
    assert e.value.status == c_library.INVALID_ARGUMENT
    with pytest.raises(CLibraryError, match="threads is 65; expected 0 to 64"):
        Model(c_library.EMBEDDED, threads=65)
    with Model(make_native("feature-extraction")) as model:
        assert model.library.leanbert_vector_size(embedded.handle, None) == 0
        assert model.library.leanbert_vector_size(model.handle, None) == 64
    with Model(make_native("token-classification")) as model:
        assert model.tag([]) == []
    library, handle = embedded.library, embedded.handle
    out = np.zeros(6, np.float32)
    texts = (ctypes.c_char_p * 2)(b"good", None)
    message = ctypes.create_string_buffer(200)

    def classify(options: Any, count: int, given: Any, place: Any, size: int) -> str:
        status = library.leanbert_classify(
            *(handle, options, count, given, None, place, size, None, message, 200)
        )
        assert (status == c_library.INVALID_ARGUMENT) == bool(message.value)
        return message.value.decode()

    place = out.ctypes.data
    assert classify(None, 1, texts, place, 3) == ""
    assert classify(None, 0, None, None, 0) == ""
    assert classify(None, 2, texts, place, 6) == "texts[1] is NULL"
    assert classify(None, 1, None, place, 3) == "texts is NULL"
    assert classify(None, 1, texts, None, 3) == "scores is NULL"
    assert classify(None, 1, texts, place, 2) == ("scores has room for 2 numbers, 1 texts need 3")
    assert "too large" in classify(None, 1 << 63, texts, place, 3)
    for size, first, line in (
        (8, 4, "function is 4"),
        (0, 0, "struct_size"),
        (3, 0, "struct_size"),
    ):
        options = c_library.Options(size, first, 0)
        assert line in classify(ctypes.byref(options), 1, texts, place, 3)


def test_options_of_another_size_are_understood(embedded: Model) -> None:
    """An older caller's are shorter; a newer one's are longer, and hold zeros or are refused."""
    texts, out = (ctypes.c_char_p * 1)(b"good"), np.zeros(3, np.float32)
    message = ctypes.create_string_buffer(200)
    for numbers, size, status in (
        ((1, 0), 4, 0),
        ((1, 0), 12, 0),
        ((1, 9), 12, c_library.INVALID_ARGUMENT),
    ):
        options = c_library.Options(size, *numbers)
        found = embedded.library.leanbert_classify(
            *(embedded.handle, ctypes.byref(options), 1, texts, None, out.ctypes.data, 3, None),
            *(message, 200),
        )
        assert found == status, message.value
    assert b"newer library" in message.value
