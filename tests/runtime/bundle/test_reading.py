"""Regular files up to a size are read; everything else in their place is refused at once."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert.bundle import reading
from leanbert.bundle.reading import (
    file_sha256,
    open_regular,
    parse_json_value,
    read_file,
    read_into,
    read_json,
    read_whole,
    status,
)
from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError

READERS: list[Callable[[Path], object]] = [read_file, read_json, read_whole, file_sha256]
posix = pytest.mark.skipif(sys.platform == "win32", reason="has no such files")


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_is_not_there(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(BundleNotFoundError, match="missing"):
        read(tmp_path / "a.json")


@posix
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_what_is_no_regular_file(tmp_path: Path, read: Callable[[Path], object], kind: str) -> None:
    path = tmp_path / "a.json"
    if kind == "pipe":
        os.mkfifo(path)  # nobody ever writes to it
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(BundleCorruptError, match=r"a\.json: (is no regular file|cannot be read)"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleCorruptError, match=r"a\.json: cannot be read \(Permission denied\)"):
        read(tmp_path / "a.json")


def test_a_sparse_file_of_many_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(BundleCorruptError, match=r"config\.json: has more than the 16,777,216"):
        read_json(path)


def test_a_file_of_exactly_the_size_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_file(path, 100) == b"x" * 100
    with pytest.raises(BundleCorruptError, match="more than the 99 bytes"):
        read_file(path, 99)
    path.write_bytes(b"")
    assert read_file(path, 0) == b""


def test_a_file_that_grows_or_shrinks_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    stat = os.fstat

    def other_size(size: int) -> Callable[[int], os.stat_result]:
        def change(descriptor: int) -> os.stat_result:
            found = list(stat(descriptor))
            found[6] = size
            return os.stat_result(found)

        return change

    monkeypatch.setattr(os, "fstat", other_size(50))
    with pytest.raises(BundleCorruptError, match="more than the 60 bytes"):
        read_file(path, 60)
    monkeypatch.setattr(os, "fstat", other_size(150))
    with pytest.raises(BundleCorruptError, match="cut short"):
        read_whole(path)


def test_a_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(40)))
    found = np.empty((2, 3), "<u4")
    with open_regular(path) as file:
        read_into(file, 8, found)
        assert found.tobytes() == bytes(range(8, 32))
        read_into(file, 100, np.empty((0, 3)))
        with pytest.raises(BundleCorruptError, match=r"a: was cut short"):
            read_into(file, 20, found)


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a": 1}x', "\xff", '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleCorruptError, match="not valid JSON"):
        read_json(path)
    with pytest.raises(BundleCorruptError, match="not valid JSON"):
        parse_json_value(path.read_bytes(), path)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"a"'])
def test_json_that_is_no_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(BundleCorruptError, match="not a JSON object"):
        read_json(path)
    assert parse_json_value(text.encode(), path) == json.loads(text)


def test_hash_of_an_empty_file_and_of_several_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 1 << 16)
    for size in (0, 1, 1 << 16, 3 * (1 << 16) + 5):
        path = tmp_path / str(size)
        path.write_bytes(bytes(i % 251 for i in range(size)))
        assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
        assert read_whole(path) == read_file(path) == path.read_bytes()


def test_status_says_what_is_there(tmp_path: Path) -> None:
    assert status(tmp_path) is not None
    assert status(tmp_path / "x") is None
    (tmp_path / "file").touch()
    assert status(tmp_path / "file" / "x") is None
    with pytest.raises(BundleError, match="cannot be looked at"):
        status(tmp_path / ("x" * 300))
    with pytest.raises(BundleError, match="cannot be a path"):
        status(Path("a\0b"))
