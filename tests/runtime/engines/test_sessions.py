"""Weights are copied into memory: who changes the file afterwards changes no answer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from leanbert import Bundle, pipeline, verify
from leanbert.bundle import MANIFEST
from leanbert.engines import Batch
from leanbert.engines.onnxruntime import OnnxRuntimeEngine
from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError
from tests.helpers.tiny_bundles import read_content, reseal

TEXT = "Operating profit rose"
DATA = "model.onnx.data"


def save_outside(folder: Path, location: str = DATA) -> None:
    """Move a graph's weights into another file."""
    model = onnx.load(str(folder / "model.onnx"))
    onnx.save(
        model,
        str(folder / "model.onnx"),
        save_as_external_data=True,
        location=location,
        size_threshold=64,  # shapes must stay in the graph
    )


@pytest.fixture
def outside(bundle_copy: Path) -> Path:
    save_outside(bundle_copy)
    reseal(bundle_copy, read_content(bundle_copy))
    return bundle_copy


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_answers_are_those_of_the_weights_inside(outside: Path, classify: Any) -> None:
    assert pipeline(model=outside, threads=1)(TEXT, top_k=None) == classify(TEXT, top_k=None)
    assert verify(outside).files == 4


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what is mapped is not told")
def test_no_weights_stay_mapped(outside: Path) -> None:
    classify = pipeline(model=outside, threads=1)
    assert classify(TEXT)
    assert not mapped(outside / DATA)
    assert not mapped(outside / "model.onnx")


@pytest.mark.parametrize("how", ["cut", "overwritten", "removed"])
def test_a_file_that_is_changed_under_an_open_bundle_changes_nothing(
    outside: Path, how: str
) -> None:
    classify = pipeline(model=outside, threads=1)
    wanted = classify(TEXT, top_k=None)
    for name in (DATA, "model.onnx", "tokenizer.json", "config.json", MANIFEST):
        path = outside / name
        if how == "removed":
            path.unlink()
        else:
            with path.open("r+b") as file:
                size = path.stat().st_size
                file.write(b"\x7f" * size) if how == "overwritten" else file.truncate(0)
    assert classify(TEXT, top_k=None) == wanted
    with pytest.raises((BundleCorruptError, BundleNotFoundError)):
        Bundle.open(outside)


def test_what_changes_between_opening_and_loading_is_noticed(outside: Path) -> None:
    bundle = Bundle.open(outside)
    path = outside / DATA
    os.utime(path, ns=(0, 0))  # another file of the same size took its place
    with pytest.raises(BundleCorruptError, match=r"model\.onnx\.data: was changed while it was"):
        OnnxRuntimeEngine(bundle, 1)
    opening = Bundle.checked_while_loading(outside)
    with pytest.raises(BundleCorruptError, match="was changed"), opening:
        os.utime(path, ns=(1, 1))


def test_a_graph_that_vanishes_between_opening_and_loading(outside: Path) -> None:
    bundle = Bundle.open(outside)
    (outside / "model.onnx").unlink()
    with pytest.raises(BundleNotFoundError, match=r"model\.onnx: missing"):
        OnnxRuntimeEngine(bundle, 1)


def test_weights_that_the_manifest_does_not_list(outside: Path) -> None:
    shutil.copy(outside / DATA, outside.parent / "stray.data")
    save_outside(outside, "stray.data")
    (outside / "stray.data").unlink()
    content = read_content(outside)
    reseal(outside, content)
    with pytest.raises(BundleCorruptError, match=r"shall be in 'stray\.data', which is no file"):
        pipeline(model=outside)


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
@pytest.mark.parametrize("location", ["../stray.data", "/stray.data"])
def test_weights_outside_the_folder_of_a_plain_export(
    make_bundle: Callable[..., Path], location: str
) -> None:
    plain = make_bundle(manifest=False)
    model = onnx.load(str(plain / "model.onnx"))
    tensor = model.graph.initializer[0]
    (plain.parent / "stray.data").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    (plain / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleCorruptError, match="which is no file of the bundle"):
        pipeline("text-classification", plain)


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_weights_of_a_plain_export(make_bundle: Callable[..., Path], classify: Any) -> None:
    plain = make_bundle(manifest=False)
    (plain / "onnx").mkdir()
    save_outside(plain, "weights.bin")
    for name in ("model.onnx", "weights.bin"):
        (plain / name).rename(plain / "onnx" / name)
    found = pipeline("text-classification", plain, threads=1)
    assert found(TEXT) == classify(TEXT)


def test_a_snapshot_in_the_hubs_cache(outside: Path, classify: Any) -> None:
    """Its files are links to ``../../blobs/HASH``."""
    home = outside.parent / "models--someone--tiny"
    snapshot, blobs = home / "snapshots" / ("0" * 40), home / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for i, path in enumerate(sorted(outside.iterdir())):
        path.rename(blobs / str(i))
        (snapshot / path.name).symlink_to(Path("..") / ".." / "blobs" / str(i))
    assert pipeline(model=snapshot, threads=1)(TEXT) == classify(TEXT)
    assert verify(snapshot, threads=1).files == 4
    (snapshot / DATA).unlink()
    (snapshot / DATA).symlink_to(shutil.copy(blobs / "2", outside.parent / "elsewhere"))
    with pytest.raises(BundleCorruptError, match="a link out of the bundle"):
        Bundle.open(snapshot)


def change_words(folder: Path, change: Callable[[onnx.TensorProto], None]) -> None:
    graph = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    change(next(tensor for tensor in graph.graph.initializer if tensor.name == "words"))
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    reseal(folder, read_content(folder))


@pytest.mark.parametrize("dims", [[10**6, 10**6], [2**62, 2**62], [-1, 8], [1000, 8]])
def test_tensors_that_do_not_lie_in_their_file(outside: Path, dims: list[int]) -> None:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.dims[:] = dims

    change_words(outside, change)
    with pytest.raises(BundleCorruptError, match=r"tensor 'words' does not lie in model"):
        pipeline(model=outside)


def test_many_tensors_of_the_same_bytes(outside: Path) -> None:
    """Memory is taken for no more than twice the file."""
    graph = onnx.load(str(outside / "model.onnx"), load_external_data=False)
    words = next(tensor for tensor in graph.graph.initializer if tensor.name == "words")
    for i in range(3):
        copy = graph.graph.initializer.add()
        copy.CopyFrom(words)
        copy.name = f"copy {i}"
    (outside / "model.onnx").write_bytes(graph.SerializeToString())
    reseal(outside, read_content(outside))
    with pytest.raises(BundleCorruptError, match=r"tensor 'copy \d' does not lie in"):
        pipeline(model=outside)


def test_weights_that_do_not_fit_into_memory(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("leanbert.engines.sessions.read_into", full)
    with pytest.raises(BundleError, match="its weights do not fit into memory"):
        pipeline(model=outside)


def test_types_that_numpy_does_not_have(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.24 ONNX Runtime takes no whole files."""

    def change(tensor: onnx.TensorProto) -> None:
        tensor.data_type = onnx.TensorProto.BFLOAT16

    change_words(outside, change)
    if hasattr(ort.SessionOptions, "add_external_initializers_from_files_in_memory"):
        with pytest.raises(BundleCorruptError, match=r"ONNX Runtime cannot load it .*bfloat16"):
            pipeline(model=outside)

    class OldOptions(ort.SessionOptions):  # type: ignore[misc]
        """Without the function that takes whole files."""

        @property
        def add_external_initializers_from_files_in_memory(self) -> None:
            raise AttributeError

    monkeypatch.setattr(ort, "SessionOptions", OldOptions)
    with pytest.raises(BundleCorruptError, match=r"upgrade it to 1\.24"):
        pipeline(model=outside)


def test_a_graph_that_is_no_model(bundle_copy: Path) -> None:
    (bundle_copy / "model.onnx").write_bytes(json.dumps({}).encode())
    reseal(bundle_copy, read_content(bundle_copy))
    with pytest.raises(BundleCorruptError, match=r"model\.onnx: it is no ONNX model"):
        pipeline(model=bundle_copy)


def test_large_graphs_are_read_by_the_runtime_itself(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leanbert.engines.sessions._LARGE", 0)
    ids: npt.NDArray[np.int32] = np.array([2, 3], np.int32)
    batch = Batch(ids, np.zeros(2, np.int32), np.array([2], np.int32))
    engine = OnnxRuntimeEngine(Bundle.open(tiny_bundle), 1)
    assert engine.run(batch)["logits"].shape == (1, 3)
