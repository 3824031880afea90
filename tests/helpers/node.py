"""JavaScript in Node, with the packages that are at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from leanbert_bench.backends.transformers_js import node_folder

__all__ = ["node_modules", "node_output"]


def node_modules(*packages: str) -> Path:
    """The folder ``node_modules`` that holds all of ``packages``; else the test is skipped.

    It is looked for in ``NODE_PATH``, and then where the benchmark keeps its packages.
    """
    named = filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep))
    places = [*map(Path, named), node_folder() / "node_modules"]
    for place in places:
        if all((place / package / "package.json").is_file() for package in packages):
            return place.resolve()
    pytest.skip(
        f"no {', '.join(packages)} here: npm install @huggingface/transformers, and "
        f"NODE_PATH=…/node_modules, or npm's --prefix {node_folder()}"
    )


def node_output(folder: Path, script: str, *arguments: str) -> str:
    """What a script in ``folder`` prints; the test is skipped where there is no Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH")
    done = subprocess.run(
        [node, script, *arguments], cwd=folder, capture_output=True, encoding="utf-8", timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
