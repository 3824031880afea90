"""What is taken for a repository of the hub, and what never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert.bundle.hub import is_repository
from leanbert.bundle.hub.names import check_repository
from leanbert.errors import InputError


@pytest.mark.parametrize("name", ["a/b", "ProsusAI/finbert", "x-1/y_2.z", "0/b_"])
def test_names_of_repositories(name: str) -> None:
    assert is_repository(name)
    check_repository(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "finbert", "a/b/c", "./a/b", "../b", "a/..", "/a", "a/", "a//b", "a b/c", "a/b\n",
        "a--b/c", "a/b..c", ".a/b", "a/-b", "a/b.", "a\\b", "é/b", "a/" + "b" * 100,
        "https://huggingface.co/a/b",
    ],
)  # fmt: skip
def test_other_names(name: str) -> None:
    assert not is_repository(name)
    with pytest.raises(InputError, match="give it as owner/name"):
        check_repository(name)


def test_paths_are_never_repositories() -> None:
    assert not is_repository(Path("owner/name"))
    assert not is_repository(None)


def test_what_exists_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_repository("owner/name")
    Path("owner").mkdir()
    assert is_repository("owner/name")
    Path("owner/name").mkdir()
    assert not is_repository("owner/name")
    Path("owner/file").touch()
    assert not is_repository("owner/file")
