"""The folders of the export import each other in one direction."""

from __future__ import annotations

import ast
from pathlib import Path

import leanbert_export
from tests.helpers.processes import python

HOME = Path(leanbert_export.__path__[0])
# A folder or module imports what stands in the groups before its own, never what stands beside it.
GROUPS = [
    {"errors", "quiet", "recipe", "samples"},
    {"checkpoint"},
    {"architectures", "model_card", "proof"},
    {"graph"},
    {"tracing"},
    {"source"},
    {"int8", "writing"},
    {"layout", "quantizing"},
    {"exporting"},
    {"cli"},
]


def parts() -> dict[str, set[str]]:
    """What each folder or module of the export imports of the others."""
    found: dict[str, set[str]] = {}
    for path in HOME.rglob("*.py"):
        part = path.relative_to(HOME).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
                if node.module == "leanbert_export":
                    names = [f"leanbert_export.{alias.name}" for alias in node.names]
                for name in names:
                    if name.startswith("leanbert_export."):
                        found.setdefault(part, set()).add(name.split(".")[1])
    return {part: names - {part} for part, names in found.items()}


def test_every_folder_has_a_place() -> None:
    names = {path.stem for path in HOME.iterdir() if path.suffix in ("", ".py")}
    assert names - {"__init__", "__pycache__"} == set().union(*GROUPS)


def test_imports_point_one_way() -> None:
    place = {part: number for number, group in enumerate(GROUPS) for part in group}
    for part, imported in parts().items():
        for other in imported:
            assert place[other] < place[part], f"{part} imports {other}"


def test_the_sample_is_read_without_torch(tmp_path: Path) -> None:
    script = """
import sys
from leanbert_export.samples import sample_texts
assert not {"torch", "transformers", "onnx", "numpy"} & set(sys.modules)
print(len(sample_texts()) > 100)
"""
    done = python(["-c", script], tmp_path)
    assert done.stdout == "True\n", done.stderr
