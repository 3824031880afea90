"""Make the tables in README.md and docs anew from the committed results.

A table stands between two marks, of which the first names the command that makes it:
  <!-- table: python -m studies.cold_start --table benchmarks/results/cold-start.json -->
  <!-- table end -->
The command is one of leanbert bench table or of a study, as it is called at the repository's root.

examples:
  python -m studies.pages
  python -m studies.pages docs/native.md
  python -m studies.pages --check
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

from leanbert.cli import main as leanbert
from leanbert.errors import InputError
from leanbert.files import whole_file
from studies.command_line import new_parser, one_line_errors

ROOT = Path(__file__).resolve().parents[2]

_SECTION = re.compile(
    r"(?P<head><!-- table: (?P<command>[^\n]+?) -->\n)(?P<table>.*?)(?P<end><!-- table end -->)",
    re.DOTALL,
)


def pages() -> list[Path]:
    """Return the pages that hold tables."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in found if _SECTION.search(page.read_text(encoding="utf-8"))]


def remade(text: str) -> str:
    """Return the text of a page with every table made anew.

    Raises:
        InputError: a mark names no command that makes tables, or the command fails.
    """
    return _SECTION.sub(
        lambda found: found["head"] + made_by(found["command"]) + found["end"], text
    )


def made_by(command: str) -> str:
    """Run a command in this process, at the repository's root, and return what it prints.

    Raises:
        InputError: it makes no tables, or fails.
    """
    words = shlex.split(command)
    run: Callable[[list[str]], int]
    if words[:3] == ["leanbert", "bench", "table"]:
        run, words = leanbert, words[1:]
    elif words[:2] == ["python", "-m"] and words[2].startswith("studies."):
        run, words = import_module(words[2]).main, words[3:]
    else:
        raise InputError(f"{command}: no command that makes tables")
    printed = io.StringIO()
    with _at_root(), redirect_stdout(printed):
        code = run(words)
    if code:
        raise InputError(f"{command}: exit code {code}")
    return printed.getvalue().strip("\n") + "\n"


@contextmanager
def _at_root() -> Iterator[None]:
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        yield
    finally:
        os.chdir(before)


def main(words: Sequence[str] | None = None) -> int:
    """Rewrite the pages, or name those whose tables are not what their commands print."""
    parser = new_parser(__doc__)
    parser.add_argument("pages", nargs="*", type=Path, help="default: README.md and docs/*.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 at a change")
    args = parser.parse_args(words)

    def run() -> int:
        changed = 0
        for page in args.pages or pages():
            before = page.read_text(encoding="utf-8")
            after = remade(before)
            if after == before:
                continue
            changed = 1
            print(page)
            if not args.check:
                with whole_file(page) as file:
                    file.write(after)
        return changed if args.check else 0

    return one_line_errors("pages", run)


if __name__ == "__main__":
    sys.exit(main())
