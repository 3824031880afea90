"""Run the recipes of docs/frozen.md for cx_Freeze and Nuitka once, and check the apps' answers.

    python -m tests.packaging.freeze_others cx_Freeze Nuitka

LEANBERT_FREEZER names the Python of an environment with these packages and LeanBERT's dependencies.
Nuitka also wants a C compiler, patchelf and some minutes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from leanbert import pipeline
from tests.helpers.frozen_apps import CONSOLE, answer, freezer, install, recipe, size_mb

TEXTS = ["Operating profit rose to EUR 13.1 mn.", "Sales fell."]


def main() -> int:
    """Freeze with each tool that is named, and return 0 if every app answers rightly."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tools", nargs="*", choices=["cx_Freeze", "Nuitka", []], default=[])
    tools = parser.parse_args().tools or ["cx_Freeze", "Nuitka"]
    classify = pipeline("text-classification", engine="native")
    wanted = [(row["label"], row["score"]) for row in classify(TEXTS)]
    right = True
    for tool in tools:
        with tempfile.TemporaryDirectory(prefix="frozen-") as folder:
            work = Path(folder)
            program = freeze(tool, work)
            found = answer(program, TEXTS, work.parent)
            same = found.rows == wanted and found.engines == {"native"}
            right &= same
            said = "answers as the library" if same else f"answers {found}, not {wanted}"
            size = size_mb(program.parent)
            sys.stdout.write(f"{tool}: {said}, {size:.0f} MB, {found.seconds:.2f} s\n")
    return 0 if right else 1


def freeze(tool: str, work: Path) -> Path:
    """Follow the recipe of a tool; the sources are gone afterwards."""
    sources = install(work / "sources")
    (work / "app.py").write_text(CONSOLE, encoding="utf-8")
    if tool == "cx_Freeze":
        (work / "setup.py").write_text(recipe(tool), encoding="utf-8")
        words, made = ["setup.py", "build_exe"], work / "frozen" / "app"
    else:
        line = recipe(tool).replace("\\\n", " ")
        words = [*shlex.split(line)[1:], "--jobs=1"]
        made = work / "app.dist" / "app.bin"
    subprocess.run(
        [freezer(), *words], cwd=work, check=True, env={**os.environ, "PYTHONPATH": str(sources)}
    )
    shutil.rmtree(sources)
    return made


if __name__ == "__main__":
    sys.exit(main())
