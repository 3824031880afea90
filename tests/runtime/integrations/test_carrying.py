"""A bundle arrives on another machine as the driver has it, or not at all."""

from __future__ import annotations

import dataclasses
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import BundleCorruptError, EngineError, InputError, LeanBertWarning
from leanbert.integrations import carrying
from leanbert.integrations.carrying import Recipe, packed, recipe_for

pyarrow: Any = pytest.importorskip("pyarrow")


@pytest.fixture
def recipe(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Of a bundle that this machine will lack; pickled, as a driver sends it."""
    monkeypatch.setattr(carrying, "_opened", {})
    made = recipe_for(bundle_copy, "headline", 1, {"truncation": True})
    found: Recipe = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    return found


def never() -> bytes:
    raise AssertionError("nothing was to be fetched")


def test_a_worker_opens_the_bundle_where_it_is_at_hand_and_once(recipe: Recipe) -> None:
    model = recipe.opened(never)
    assert (model.bundle.path, model.threads, model.mode) == (recipe.path, 1, "throughput")
    assert model.defaults == {"truncation": True}
    assert recipe.opened(never) is model
    assert dataclasses.replace(recipe, threads=2).opened(never) is not model


def test_a_worker_that_lacks_the_bundle_unpacks_it_once(recipe: Recipe, tmp_path: Path) -> None:
    archive = packed(recipe.path)
    shutil.rmtree(recipe.path)
    folder = tmp_path / "unpacked"
    model = recipe.opened(lambda: archive, folder)
    assert [path.name for path in folder.iterdir()] == [recipe.digest]
    carrying._opened.clear()
    assert recipe.opened(never, folder).bundle.path == model.bundle.path
    answered = recipe.answered(model, pyarrow.table({"headline": ["profit rose"]}))
    assert answered.column("label").to_pylist() == ["positive"]


def test_another_bundle_under_the_same_path_is_not_taken(
    recipe: Recipe, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    archive = packed(recipe.path)
    other = make_bundle(token_types=False)
    shutil.rmtree(recipe.path)
    shutil.copytree(other, recipe.path)
    model = recipe.opened(lambda: archive, tmp_path / "unpacked")
    assert model.bundle.path == tmp_path / "unpacked" / recipe.digest
    carrying._opened.clear()
    with pytest.raises(BundleCorruptError, match="what arrived is not the driver's bundle"):
        recipe.opened(lambda: packed(other), tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []


def test_a_changed_byte_of_the_weights_is_noticed(recipe: Recipe, tmp_path: Path) -> None:
    broken = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packed(recipe.path))) as given,
        zipfile.ZipFile(broken, "w") as made,
    ):
        for name in given.namelist():
            data = bytearray(given.read(name))
            if name == "model.onnx":
                data[-1] ^= 1
            made.writestr(name, bytes(data))
    shutil.rmtree(recipe.path)
    with pytest.raises(BundleCorruptError, match=r"model\.onnx: content differs from its sha256"):
        recipe.opened(broken.getvalue, tmp_path / "unpacked")


def test_an_archive_does_not_leave_its_folder(recipe: Recipe, tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../outside", "x")
    shutil.rmtree(recipe.path)
    with pytest.raises(BundleCorruptError, match="a file in it leaves the bundle"):
        recipe.opened(data.getvalue, tmp_path / "unpacked")
    assert not (tmp_path / "outside").exists()


def test_a_batch_whose_texts_are_all_missing_has_the_types_of_the_others(recipe: Recipe) -> None:
    model = recipe.opened(never)
    batch = pyarrow.record_batch({"headline": pyarrow.array([None], pyarrow.string())})
    with pytest.warns(match="1 of 1 values of 'headline' are missing"):
        answered = recipe.answered(model, batch)
    wanted = {"headline": "string", "label": "string", "score": "double"}
    assert {field.name: str(field.type) for field in answered.schema} == wanted


def test_another_version_and_a_bundle_without_manifest_are_refused(
    recipe: Recipe, make_bundle: Callable[..., Path]
) -> None:
    with pytest.raises(EngineError, match=r"this worker has LeanBERT .* and the driver 0\.0"):
        dataclasses.replace(recipe, version="0.0").opened(never)
    (recipe.path / "leanbert.json").unlink()
    with (
        pytest.warns(LeanBertWarning, match="nothing of it is verified"),
        pytest.raises(InputError, match="has no manifest, by which a worker could check it"),
    ):
        recipe_for(recipe.path, "headline", 1, {"task": "text-classification"})
