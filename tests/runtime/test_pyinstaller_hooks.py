"""The hooks for PyInstaller name what is there, and its scan of imports finds the rest."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from leanbert import _pyinstaller as hooks
from leanbert.bundle import Bundle
from leanbert.cli import _COMMANDS
from leanbert.pipelines import embedded_bundle
from tests.helpers.processes import ROOT
from tests.runtime.test_imports import imports, modules

FOLDER = Path(*hooks.hook_dirs())
HOOKS = sorted(FOLDER.glob("hook-*.py"))


def run(module: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / f"hook-{module}.py"))


def test_the_entry_point_is_the_function() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert (
        '[project.entry-points.pyinstaller40]\nhook-dirs = "leanbert._pyinstaller:hook_dirs"'
        in (text)
    )


@pytest.mark.parametrize("path", HOOKS, ids=lambda path: path.stem)
def test_each_hook_is_for_a_module_that_exists(path: Path) -> None:
    assert find_spec(path.stem.removeprefix("hook-")) is not None


def test_the_embedded_model_is_whole(tmp_path: Path) -> None:
    import shutil

    for source, folder in run("leanbert_models")["datas"]:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / folder)
    [model] = (tmp_path / "leanbert_models").iterdir()
    assert Bundle.open(model).manifest == Bundle.open(embedded_bundle()).manifest
    assert {path.name for path in model.iterdir()} == {p.name for p in embedded_bundle().iterdir()}


def test_the_native_library_keeps_its_place() -> None:
    for source, folder in run("leanbert")["binaries"]:
        assert Path(source).is_file()
        assert Path(source) == ROOT / "runtime" / folder / Path(source).name


def test_the_commands_are_found_without_the_exporter() -> None:
    hidden = set(run("leanbert.cli")["hiddenimports"])
    assert hidden == {name for name, _ in _COMMANDS.values() if name.startswith("leanbert.")}
    assert {"leanbert.cli.predict", "leanbert.cli.pull"} <= hidden
    assert not any(name.startswith(("leanbert_export", "leanbert_bench")) for name in hidden)


def reached(first: Iterable[str]) -> set[str]:
    """The modules that PyInstaller's scan finds: every import, wherever it stands."""
    sources = modules()
    found: set[str] = set()
    waiting = list(first)
    while waiting:
        name = waiting.pop()
        if name in found or name not in sources:
            continue
        found.add(name)
        waiting.append(name.rpartition(".")[0])  # a package is imported before its modules
        for imported, names in imports(sources[name]):
            waiting += [imported, *(f"{imported}.{each}" for each in names)]
    return found


def test_an_app_has_every_module_that_it_may_need() -> None:
    apart = (
        "leanbert.cli", "leanbert.__main__", "leanbert._pyinstaller", "leanbert.integrations",
        "leanbert.pages",  # an app that writes pages imports it
        "leanbert.batching.drawing",  # the command's
    )  # fmt: skip
    needed = {name for name in modules() if not name.startswith(apart)}
    assert needed - reached(["leanbert"]) == set()
    command = reached(["leanbert.__main__", *run("leanbert.cli")["hiddenimports"]])
    assert {name for name in modules() if name.startswith("leanbert.cli")} - command == set()


def test_what_is_left_out_is_imported_late_only() -> None:
    for name in run("leanbert")["excludedimports"]:
        for path in (ROOT / "runtime" / "leanbert").rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(rf"^(import|from) {name}\b", text, re.M), path
