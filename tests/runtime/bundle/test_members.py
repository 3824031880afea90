"""The files of a bundle: no links out of it, no strange files, no sizes without a bound."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leanbert import Bundle, pipeline
from leanbert.bundle import file_sha256
from leanbert.bundle.members import stamp_of
from leanbert.errors import BundleCorruptError, BundleError
from tests.helpers.tiny_bundles import read_content, reseal


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.onnx", "leanbert.json"])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_pipe_in_the_place_of_a_file(
    bundle_copy: Path, make_bundle: Callable[..., Path], name: str, sealed: bool
) -> None:
    folder = bundle_copy if sealed else make_bundle(manifest=False)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        pipeline("text-classification", folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_sparse_files_of_many_gigabytes(bundle_copy: Path, name: str) -> None:
    content = read_content(bundle_copy)
    with (bundle_copy / name).open("r+b") as file:
        file.truncate(8 << 30)
    with pytest.raises(BundleCorruptError, match="instead of"):
        Bundle.open(bundle_copy)
    content["files"][name]["size"] = 8 << 30
    reseal(bundle_copy, content, hash_files=False)
    with pytest.raises(BundleCorruptError, match=r"has 8,589,934,592 bytes, such a file may have"):
        Bundle.open(bundle_copy)


def test_a_sparse_manifest_of_many_gigabytes(bundle_copy: Path) -> None:
    with (bundle_copy / "leanbert.json").open("r+b") as file:
        file.truncate(8 << 30)
    with pytest.raises(BundleCorruptError, match=r"leanbert\.json: has more than"):
        Bundle.open(bundle_copy)


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_sparse_files_of_a_plain_export(make_bundle: Callable[..., Path], name: str) -> None:
    plain = make_bundle(manifest=False)
    with (plain / name).open("ab") as file:
        file.truncate(8 << 30)
    with pytest.raises(BundleCorruptError, match="has more than"):
        pipeline("text-classification", plain)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such device")
def test_a_device_in_the_place_of_a_file(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    (plain / "config.json").unlink()
    (plain / "config.json").symlink_to("/dev/zero")
    with pytest.raises(BundleCorruptError, match="no regular file"):
        Bundle.open(plain)


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be looked at"):
        pipeline(model=tmp_path / ("x" * 300))
    with pytest.raises(BundleError, match="cannot be a path"):
        pipeline(model="a\0b")


def test_links_that_look_like_the_hubs_cache(bundle_copy: Path) -> None:
    """Only the blobs of the same model may be linked to, and only from a snapshot."""
    model = bundle_copy.parent / "models--a"
    snapshot = model / "snapshots" / "0"
    snapshot.parent.mkdir(parents=True)
    bundle_copy.rename(snapshot)
    for blobs in (model / "blobs", model / "other", bundle_copy.parent / "models--b" / "blobs"):
        blobs.mkdir(parents=True)
        (blobs / "1").write_bytes((snapshot / "config.json").read_bytes())
        (snapshot / "config.json").unlink()
        (snapshot / "config.json").symlink_to(blobs / "1")
        if blobs == model / "blobs":
            Bundle.open(snapshot)
        else:
            with pytest.raises(BundleCorruptError, match="a link out of the bundle, to"):
                Bundle.open(snapshot)


def test_a_file_that_was_hashed_is_not_read_for_it_again(bundle_copy: Path) -> None:
    path = bundle_copy / "model.onnx"
    content, digest = path.read_bytes(), file_sha256(path)
    changed = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(changed)
    hashed = {stamp_of(path.stat()): digest}
    assert Bundle.open(bundle_copy, hashed=hashed).manifest  # it is taken at its word
    wrong = {stamp_of(path.stat()): file_sha256(path)}
    with pytest.raises(BundleCorruptError, match=r"model\.onnx: content differs"):
        Bundle.open(bundle_copy, hashed=wrong)
    os.utime(path, (1, 1))  # as if it was changed since
    with pytest.raises(BundleCorruptError, match=r"model\.onnx: content differs"):
        Bundle.open(bundle_copy, hashed=hashed)
