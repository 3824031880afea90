"""Write the pages of ``docs/`` as the site wants them: ``python docs/site/prepare.py build/pages``.

The pages are written to be read on GitHub, too. For the site they differ in three ways: a link that
leaves ``docs/`` leads to the repository, whose address is the one of ``pyproject.toml``; each task
of ``tasks.md`` has a page of its own; and links to what moved there follow it. Prints the
repository's address.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["github_anchor", "main", "pages", "repository"]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BRANCH = "main"
TASKS = "tasks.md"

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)\s:#]*)(?:#([^)\s]*))?(?=\))")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_TASK = re.compile(r"^\| \[`([\w-]+)`\]\(#", re.MULTILINE)
"""The first column of the table in which ``tasks.md`` lists the tasks."""


def github_anchor(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def repository() -> str:
    """The public address of the repository, as the package's metadata has it.

    Raises:
        ValueError: ``pyproject.toml`` names none.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^Repository = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("pyproject.toml: [project.urls] has no Repository")
    return found[1]


def pages() -> dict[str, str]:
    """The text of each page by its path in the site.

    Raises:
        ValueError: a link leads to a file that does not exist.
    """
    written = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    sources = {name: (name, text) for name, text in written.items()}
    moved: dict[tuple[str, str], tuple[str, str]] = {}
    for name, text in _by_task(written[TASKS]).items():
        sources[name] = (TASKS, text)
        if name != TASKS:
            first, *others = [github_anchor(found[2]) for found in _HEADING.finditer(_bare(text))]
            moved[TASKS, first] = (name, "")
            moved.update({(TASKS, anchor): (name, anchor) for anchor in others})
    address = repository()
    return {
        name: _relinked(text, source, name, moved, address)
        for name, (source, text) in sources.items()
    }


def main(target: Path) -> None:
    """Write the pages and the style sheet into ``target``, which is emptied before."""
    shutil.rmtree(target, ignore_errors=True)
    for name, text in pages().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")
    shutil.copy(DOCS / "site" / "pages.css", target / "pages.css")
    sys.stdout.write(repository() + "\n")


def _bare(text: str) -> str:
    """The text without its blocks of code, in which a ``#`` begins a comment."""
    return _FENCE.sub("", text)


def _by_task(text: str) -> dict[str, str]:
    """The page of tasks without those sections that are a task, and a page for each of these."""
    tasks = _TASK.findall(text)
    kept, found = [], {}
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        heading, _, _ = section.removeprefix("## ").partition("\n")
        if heading in tasks:
            found[f"tasks/{heading}.md"] = _raised(section)
        else:
            kept.append(section)
    return {TASKS: "".join(kept), **found}


def _raised(section: str) -> str:
    """The section with every heading one level higher."""
    parts = re.split(f"({_FENCE.pattern})", section, flags=_FENCE.flags)
    parts[::2] = [re.sub(r"^#(#+ )", r"\1", part, flags=re.MULTILINE) for part in parts[::2]]
    return "".join(parts)


def _relinked(
    text: str,
    source: str,
    page: str,
    moved: Mapping[tuple[str, str], tuple[str, str]],
    address: str,
) -> str:
    """The text of ``page``, whose links were written in ``docs/SOURCE``, with the site's links."""

    def mapped(link: re.Match[str]) -> str:
        name, anchor = link[1] or source, link[2] or ""
        target = (DOCS / name).resolve()
        if not target.exists():
            raise ValueError(f"docs/{source}: links to {name}, which does not exist")
        if target.parent != DOCS:
            kind = "tree" if target.is_dir() else "blob"
            path = target.relative_to(ROOT).as_posix()
            return f"{address}/{kind}/{BRANCH}/{path}" + (f"#{anchor}" if anchor else "")
        name, anchor = moved.get((name, anchor), (name, anchor))
        path = "" if name == page and anchor else posixpath.relpath(name, posixpath.dirname(page))
        return path + (f"#{anchor}" if anchor else "")

    parts = re.split(f"({_FENCE.pattern})", text, flags=_FENCE.flags)
    parts[::2] = [_LINK.sub(mapped, part) for part in parts[::2]]
    return "".join(parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
