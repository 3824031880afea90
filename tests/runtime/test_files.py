"""Files that appear whole or not at all, and streams that are written through."""

from __future__ import annotations

import errno
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leanbert.files import name_full_disk, own_descriptor, whole_binary_file, whole_file


def test_a_file_takes_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with whole_file(path) as file:
        file.write("é\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == "é\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with whole_binary_file(path) as binary:
        binary.write(b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), whole_file(tmp_path / "a.txt") as file:
        file.write("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    with whole_file(link) as file:
        file.write("a")
    assert link.is_symlink()
    assert target.read_text() == "a"


@pytest.mark.skipif(sys.platform == "win32", reason="has no descriptors by name")
def test_own_descriptors_are_recognized(tmp_path: Path) -> None:
    assert own_descriptor(Path("/dev/stdout")) == 1
    assert own_descriptor(Path("/dev/stderr")) == 2
    assert own_descriptor(Path("/dev/fd/63")) == 63
    link = tmp_path / "link"
    link.symlink_to("/dev/stdout")
    assert own_descriptor(link) == 1
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "1").write_text("")
    for path in (tmp_path / "loop", tmp_path / "1", tmp_path / "none", Path("/dev/null")):
        assert own_descriptor(path) is None
    if Path("/proc/self/fd").exists():
        assert own_descriptor(Path("/proc/self/fd/2")) == 2
        assert own_descriptor(Path(f"/proc/{os.getppid()}/fd/1")) is None


@pytest.mark.skipif(sys.platform == "win32", reason="has no descriptors by name")
def test_a_descriptor_is_written_through_and_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with path.open("a") as log:
        with whole_file(Path(f"/dev/fd/{log.fileno()}")) as file:
            file.write("answer\n")
        log.write("after\n")
    assert path.read_text() == "before\nanswer\nafter\n"
    with pytest.raises(OSError, match="/dev/fd/987"), whole_file(Path("/dev/fd/987")):
        pass


def test_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), whole_file(tmp_path):
        pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    for given in ({}, {"binary": True}):
        opened: Any = whole_binary_file if given else whole_file
        with pytest.raises(OSError, match="No space left") as caught, opened(tmp_path / "a"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.filename == str(tmp_path / "a")
    with pytest.raises(BrokenPipeError) as broken, name_full_disk("stdout"):
        raise BrokenPipeError(errno.EPIPE, "gone")
    assert broken.value.filename is None


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
