"""Which files of a repository are fetched: those of one model, and no others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import external_data_helper

from leanbert.bundle import MANIFEST
from leanbert.bundle.foreign import choose_graph
from leanbert.bundle.hub.choosing import Parts, collect
from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError, InputError
from tests.helpers.tiny_bundles import read_content, reseal


class Folder:
    """A directory in the place of a repository; remembers what was asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []

    def listed(self) -> list[str]:
        return [p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()]

    def get(self, file: str) -> Path:
        if file not in self.asked:
            self.asked.append(file)
        return self.root / file

    def collect(self, **options: Any) -> Parts:
        return collect("owner/name", self.listed(), self.get, **options)


@pytest.fixture
def plain(make_bundle: Callable[..., Path]) -> Folder:
    """A plain export as for transformers.js, with much beside it."""
    root = make_bundle(manifest=False)
    (root / "onnx").mkdir()
    (root / "model.onnx").rename(root / "onnx" / "model.onnx")
    for name in ("model_quantized", "model_fp16", "model_q4"):
        shutil.copy(root / "onnx" / "model.onnx", root / "onnx" / f"{name}.onnx")
    (root / "tokenizer_config.json").write_text("{}")
    for name in ("model.safetensors", "pytorch_model.bin", "README.md", "vocab.txt"):
        (root / name).touch()
    return Folder(root)


def test_a_bundle(bundle_copy: Path) -> None:
    for name in ("README.md", "model.safetensors", "tokenizer_config.json"):
        (bundle_copy / name).touch()
    folder = Folder(bundle_copy)
    parts = folder.collect()
    assert (parts.folder, parts.graph) == ("", None)
    assert set(parts.files) == {MANIFEST, *read_content(bundle_copy)["files"]}
    assert folder.asked[0] == MANIFEST
    assert set(folder.asked) == set(parts.files)
    assert folder.collect(file_name="model.onnx") == parts
    with pytest.raises(InputError, match=r"owner/name is a bundle, whose graph is model\.onnx"):
        folder.collect(file_name="model_quantized.onnx")


def test_a_bundle_in_a_folder(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "int8")
    (tmp_path / "config.json").touch()
    parts = Folder(tmp_path).collect(subfolder="int8")
    assert (parts.folder, parts.graph) == ("int8", None)
    assert "config.json" in parts.files


def test_a_bundle_that_lacks_a_file(bundle_copy: Path) -> None:
    (bundle_copy / "tokenizer.json").unlink()
    with pytest.raises(
        BundleNotFoundError, match=r"has no tokenizer\.json, which its leanbert\.json"
    ):
        Folder(bundle_copy).collect()
    reseal(bundle_copy, {**read_content(bundle_copy), "files": {}}, hash_files=False)
    (bundle_copy / MANIFEST).write_text("{}")
    with pytest.raises(BundleError):
        Folder(bundle_copy).collect()


def test_a_plain_export(plain: Folder) -> None:
    parts = plain.collect()
    assert (parts.folder, parts.graph) == ("", "onnx/model.onnx")
    needed = ["config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model.onnx"]
    assert list(parts.files) == needed
    assert plain.asked == needed  # the graph last: where it is, the others are


@pytest.mark.parametrize(
    ("options", "graph"),
    [
        ({"file_name": "model_quantized.onnx"}, "onnx/model_quantized.onnx"),
        ({"file_name": "onnx/model_q4.onnx"}, "onnx/model_q4.onnx"),
        ({"subfolder": "onnx"}, "onnx/model.onnx"),
        ({"subfolder": "onnx", "file_name": "model_fp16.onnx"}, "onnx/model_fp16.onnx"),
    ],
)
def test_a_chosen_graph(plain: Folder, options: dict[str, str], graph: str) -> None:
    assert plain.collect(**options).graph == graph
    assert graph in plain.asked
    assert sum(name.endswith(".onnx") for name in plain.asked) == 1


def test_a_graph_that_is_not_there(plain: Folder) -> None:
    with pytest.raises(
        BundleNotFoundError, match=r"has no m\.onnx; its ONNX files are onnx/model\."
    ):
        plain.collect(file_name="m.onnx")
    with pytest.raises(BundleNotFoundError, match=r"has no int8; its ONNX files are"):
        plain.collect(subfolder="int8")
    with pytest.raises(InputError, match=r"subfolder is '\.\./x'"):
        plain.collect(subfolder="../x")


def test_weights_beside_the_graph(plain: Folder) -> None:
    path = plain.root / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    external_data_helper.convert_model_to_external_data(
        model, location="model.onnx_data", size_threshold=200
    )
    onnx.save(model, str(path))
    (plain.root / "onnx" / "model_q4.onnx_data").touch()
    assert plain.collect().files[-2:] == ("onnx/model.onnx", "onnx/model.onnx_data")
    (plain.root / "onnx" / "model.onnx_data").unlink()
    with pytest.raises(BundleNotFoundError, match=r"has no onnx/model\.onnx_data, where"):
        plain.collect()
    path.write_bytes(path.read_bytes().replace(b"model.onnx_data", b"../../onnx_data"))
    with pytest.raises(BundleCorruptError, match=r"its weights shall be in '\.\./\.\./onnx_data'"):
        plain.collect()
    path.write_bytes(b"no graph")
    with pytest.raises(BundleCorruptError, match=r"owner/name: onnx/model\.onnx: it "):
        plain.collect()


def test_parts_beside_the_graph(plain: Folder) -> None:
    for name in ("config.json", "tokenizer.json"):
        (plain.root / name).rename(plain.root / "onnx" / name)
    parts = plain.collect()
    assert parts.files == ("onnx/config.json", "onnx/tokenizer.json", "onnx/model.onnx")
    (plain.root / "onnx" / "tokenizer.json").unlink()
    with pytest.raises(BundleNotFoundError, match=r"has onnx/model\.onnx, but no config\.json and"):
        plain.collect()


def test_sentence_transformers(plain: Folder) -> None:
    (plain.root / "1_Pooling").mkdir()
    (plain.root / "2_Dense").mkdir()
    names = (
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "config_sentence_transformers.json",
        "modules.json",
        "sentence_xlm-roberta_config.json",
    )
    for name in (*names, "2_Dense/pytorch_model.bin", "data_config.json"):
        (plain.root / name).touch()
    assert [name for name in plain.collect().files if name in names] == list(names)
    assert not {"2_Dense/pytorch_model.bin", "data_config.json"} & set(plain.asked)
    (plain.root / "modules.json").unlink()
    assert "2_Dense/config.json" not in plain.collect().files


def test_a_checkpoint(plain: Folder) -> None:
    shutil.rmtree(plain.root / "onnx")
    with pytest.raises(
        BundleError, match=r"has no ONNX graph; .* by: leanbert export owner/name -o DIR"
    ):
        plain.collect()
    assert plain.asked == []


def test_the_order_of_graphs() -> None:
    order = [
        "model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx",
        "model_int8.onnx", "onnx/model_int8.onnx", "onnx/model_uint8.onnx",
        "onnx/model_optimized.onnx",
    ]  # fmt: skip
    for i, first in enumerate(order):
        rest = order[i:]
        assert choose_graph([*reversed(rest), "onnx/model_q4.onnx", "x/model.onnx"], "") == first
    assert choose_graph(["onnx/encoder.onnx"], "") == "onnx/encoder.onnx"
    with pytest.raises(
        BundleNotFoundError, match=r"none of a\.onnx, b\.onnx is called model\.onnx"
    ):
        choose_graph(["b.onnx", "a.onnx"], "")
    with pytest.raises(BundleNotFoundError, match=r"its ONNX files are deep/er/model\.onnx"):
        choose_graph(["deep/er/model.onnx"], "")
    deep = ["deep/b/m.onnx", "deep/a/m.onnx", "onnx/m.onnx"]
    assert choose_graph(deep, "", file_name="m.onnx") == "onnx/m.onnx"
    assert choose_graph(deep, "", file_name="deep/b/m.onnx") == "deep/b/m.onnx"
    assert choose_graph(deep, "", subfolder="deep/a") == "deep/a/m.onnx"
    with pytest.raises(BundleNotFoundError, match=r"has no onnx/n\.onnx"):
        choose_graph(deep, "", subfolder="onnx", file_name="n.onnx")
    with pytest.raises(BundleNotFoundError, match="leanbert export MODEL -o DIR"):
        choose_graph(["README.md"], "")
