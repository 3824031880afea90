"""Which files a command line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert.errors import InputError, LeanBertWarning
from leanbert.records import find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ["b.csv", "a.jsonl.gz", "sub/c.txt", "sub/.hidden.csv", "_done/d.csv", ".x/e.csv"]
    for name in names:
        path = tmp_path / "news" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "news"


def test_a_folder_stands_for_its_files(folder: Path) -> None:
    found = find_files([folder])
    assert [str(file.relative) for file in found] == ["a.jsonl.gz", "b.csv", "sub/c.txt"]
    assert [file.path for file in found] == [folder / file.relative for file in found]


def test_what_a_folder_has_besides_is_named(folder: Path) -> None:
    for name in ("README.md", "b.xml", "c.xml", "d.xml"):
        (folder / name).touch()
    with pytest.warns(LeanBertWarning, match=r"left out 4 files,.*: README.md, b.xml, c.xml, …"):
        assert len(find_files([folder])) == 3
    assert len(find_files([folder], any_ending=True)) == 7
    empty = folder.parent / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"no file in this folder ends in \.txt, \.csv"):
        find_files([empty])


def test_patterns(folder: Path) -> None:
    assert [file.path for file in find_files([folder / "*.csv"])] == [folder / "b.csv"]
    found = find_files([folder / "[!_]*" / "**" / "*.[ct]*"])
    assert [file.path for file in found] == [folder / "sub" / "c.txt"]
    with pytest.raises(InputError, match="no file matches this pattern"):
        find_files([folder / "*.tsv"])
    odd = folder / "[1].csv"
    odd.touch()
    assert [file.path for file in find_files([odd])] == [odd]


def test_a_file_is_read_once(folder: Path) -> None:
    with pytest.warns(LeanBertWarning, match="is named several times; it is read once"):
        found = find_files([folder / "b.csv", folder / "sub" / ".." / "b.csv"])
    assert len(found) == 1


def test_stdin_and_what_is_not_there(tmp_path: Path) -> None:
    found = find_files([Path("-"), tmp_path / "missing.csv"])
    assert [file.path for file in found] == [Path("-"), tmp_path / "missing.csv"]
