"""One direction of imports in the benchmark, and nothing of tests or training in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BELOW = {
    "leanbert_bench.results": ("run", "report", "commands", "backends"),
    "leanbert_bench.report": ("run", "commands", "backends"),
    "leanbert_bench.run": ("report", "commands"),
    "leanbert_bench.backends": ("report", "commands"),
}
"""What each part must not import."""


def sources() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(BENCHMARKS.rglob("*.py")):
        name = ".".join(path.relative_to(BENCHMARKS).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


SOURCES = sources()


@pytest.mark.parametrize("part", BELOW)
def test_a_part_imports_none_that_builds_on_it(part: str) -> None:
    barred = tuple(f"leanbert_bench.{name}" for name in BELOW[part])
    mine = {name: tree for name, tree in SOURCES.items() if name.startswith(part)}
    assert len(mine) > 3
    for name, tree in mine.items():
        assert not [found for found in imported(tree) if found.startswith(barred)], name


def test_the_benchmark_imports_neither_tests_nor_training_nor_its_studies() -> None:
    for name, tree in SOURCES.items():
        tops = {found.partition(".")[0] for found in imported(tree)}
        assert not tops & {"tests", "leanbert_training"}, name
        assert "studies" not in tops or name.startswith("studies"), name


def test_no_module_changes_where_modules_are_found() -> None:
    root = Path(__file__).parents[2]
    for folder in ("runtime", "export", "benchmarks", "models", "tests"):
        for path in (root / folder).rglob("*.py"):
            changes = [
                node
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call)
                and ast.unparse(node.func) in {"sys.path.insert", "sys.path.append"}
            ]
            assert not changes, path
