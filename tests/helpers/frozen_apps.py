"""Small apps to freeze, LeanBERT as an installation would have it, and the recipes of the docs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.processes import ROOT

__all__ = ["CONSOLE", "WINDOW", "Answered", "answer", "freezer", "install", "recipe", "size_mb"]

CONSOLE = """
import sys
from leanbert import pipeline

classify = pipeline("text-classification")
for row in classify(sys.argv[1:]):
    print(row["label"], row["score"], classify.engine_report.engine, sep="\\t")
"""

WINDOW = """
import sys
import tkinter
from pathlib import Path
from leanbert import pipeline

window = tkinter.Tk()
label = tkinter.Label(window, text="")
label.pack()

def show():
    classify = pipeline("text-classification")
    rows = classify(sys.argv[2:])
    engine = classify.engine_report.engine
    label["text"] = "".join(f"{r['label']}\\t{r['score']}\\t{engine}\\n" for r in rows)
    window.after(50, close)

def close():
    Path(sys.argv[1]).write_text(label["text"])
    window.destroy()

window.after(10, show)
window.mainloop()
"""


@dataclass(frozen=True)
class Answered:
    """What an app answered."""

    rows: list[tuple[str, float]]
    engines: set[str]
    seconds: float
    """From the start of the process to its end."""


def freezer() -> str:
    """The Python that freezes: ``LEANBERT_FREEZER``, or the one that runs the tests."""
    return os.environ.get("LEANBERT_FREEZER", sys.executable)


def install(folder: Path) -> Path:
    """Copy the runtime, the embedded model and the entry points to ``folder``, as a wheel does."""
    for source in (ROOT / "runtime" / "leanbert", ROOT / "models" / "leanbert_models"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, folder / source.name, ignore=ignored)
    about = folder / "leanbert-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leanbert\nVersion: 0\n")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    group = "pyinstaller40"
    [entry] = re.findall(rf'^\[project\.entry-points\.{group}\]\n(.+) = "(.+)"', project, re.M)
    (about / "entry_points.txt").write_text(f"[{group}]\n{entry[0]} = {entry[1]}\n")
    return folder


def recipe(name: str) -> str:
    """The block of code that docs/frozen.md marks with ``name``."""
    page = (ROOT / "docs" / "frozen.md").read_text(encoding="utf-8")
    [found] = re.findall(rf"^<!-- {name} -->\n```\w*\n(.*?)^```", page, re.M | re.S)
    return str(found)


def answer(program: Path, texts: Sequence[str], cwd: Path, *words: object) -> Answered:
    """Run a frozen app with nothing of this environment but what a desktop has.

    Args:
        program: the app.
        texts: what it classifies.
        cwd: where it runs.
        words: arguments before the texts; a window app is given the file for its label.
    """
    known = ("DISPLAY", "HOME", "LANG", "PATH", "TMPDIR", "XAUTHORITY")
    environment = {name: os.environ[name] for name in known if name in os.environ}
    begun = time.perf_counter()
    done = subprocess.run(
        [str(program), *map(str, words), *texts],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    out = done.stdout if not words else Path(str(words[0])).read_text(encoding="utf-8")
    lines = [line.split("\t") for line in out.splitlines()]
    rows = [(label, float(score)) for label, score, _ in lines]
    return Answered(rows, {engine for *_, engine in lines}, seconds)


def size_mb(path: Path) -> float:
    """The size of a file, or of all files in a folder, in MB of 10^6 bytes; links count once."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file() and not f.is_symlink()) / 1e6
