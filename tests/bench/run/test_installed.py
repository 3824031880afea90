"""The closure of dependencies: of distributions that are made up, and of numpy."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from leanbert_bench.run.installed import closure, distribution_bytes, installed_bytes


class Distribution:
    def __init__(self, folder: Path, size: int, *requires: str, url: str | None = None) -> None:
        self.requires = list(requires)
        self.files = ["module.py", "gone.py"]
        self._folder, self._url = folder, url
        folder.mkdir()
        (folder / "module.py").write_bytes(bytes(size))

    def locate_file(self, name: str) -> Path:
        return self._folder / name

    def read_text(self, name: str) -> str | None:
        return self._url


@pytest.fixture
def find(tmp_path: Path) -> Any:
    known = {
        "top": Distribution(
            tmp_path / "top", 100, "Mid_Dle>=1,<2", "extra-thing; extra == 'docs'",
            "only-windows>=1 ; sys_platform == 'win32'",
        ),
        "mid-dle": Distribution(tmp_path / "mid", 20, "leaf[fast]~=3.0", "top"),
        "leaf": Distribution(tmp_path / "leaf", 3),
        "extra-thing": Distribution(tmp_path / "extra", 1000),
    }  # fmt: skip

    def find(name: str) -> Any:
        key = name.lower().replace("_", "-")
        if key not in known:
            raise metadata.PackageNotFoundError(name)
        return known[key]

    return find


def test_requirements_are_followed_once_and_extras_are_not(find: Any) -> None:
    assert sorted(closure(["top"], find)) == ["leaf", "mid-dle", "top"]
    assert installed_bytes(["top"], find=find) == 123
    assert installed_bytes(["leaf", "top"], find=find) == 123
    assert installed_bytes(["leaf"], find=find) == 3
    assert installed_bytes(["absent"], find=find) is None


def test_numpy_as_it_is_installed() -> None:
    size = distribution_bytes(metadata.distribution("numpy"))
    assert 5e6 < size < 500e6
    assert installed_bytes(["numpy"]) == size  # it requires nothing


def test_an_editable_install_counts_the_sources_where_they_stand(tmp_path: Path) -> None:
    editable = Distribution(tmp_path / "a", 1, url='{"dir_info": {"editable": true}, "url": "x"}')
    usual = Distribution(tmp_path / "b", 1, url='{"url": "x", "archive_info": {}}')
    assert distribution_bytes(usual) == 1
    assert distribution_bytes(editable) > 9.5e6  # the embedded model alone
