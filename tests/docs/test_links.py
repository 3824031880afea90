"""Every page names what is there: links, anchors, files and modules; Python blocks compile."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.sources import source_files

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "NOTICE",
    ROOT / "models" / "leanbert_training" / "README.md",
    ROOT / "runtime" / "native" / "fuzz" / "README.md",
]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# A path has a slash; a bare name is checked where its ending is that of a source file.
PATH = re.compile(r"(?<![\w./<{-])((?:[\w.-]+/)+[\w.-]*)(?![\w/*{<…-])")
SOURCES = (".py", ".cpp", ".h", ".sh")
NAME = re.compile(r"(?<![\w./-])([\w-]+\.(?:py|cpp|h|sh))(?![\w(])")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MADE = ("build/", "results/", "onnx/", "partial/", "snapshots/", "blobs/")
"""Folders that a command makes, or that lie in a model directory."""
OTHERS = ("app.py", "setup.py", "finBERT", "predict.py", "transformers/", "libleanbert", "my_task")
"""What is not this repository's, or an example."""


@cache
def tracked() -> frozenset[str]:
    """Every file that git knows or would add, and every folder of one, as a path from the root."""
    files = source_files()
    folders = {str(parent) for name in files for parent in Path(name).parents}
    return frozenset([*files, *folders])


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", BLOCK.sub("", text_of(page)), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.strip().replace(" ", "-") for head in kept}


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(BLOCK.sub("", text_of(page))):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        if not to.is_relative_to(ROOT) or not to.exists() or (anchor and anchor not in anchors(to)):
            yield target


def named_paths(text: str) -> Iterator[str]:
    """Paths in running text and in commands, without those that a command makes."""
    for line in text.splitlines():
        spans = [line] if line.startswith(("    ", "leanbert ", "python ")) else CODE.findall(line)
        for span in spans:
            for path in PATH.findall(span):
                if not path.startswith(MADE) and not any(word in span for word in OTHERS):
                    yield path.rstrip(".")


def exists(path: str, page: Path) -> bool:
    """Whether a path is there, seen from the root, from the page, or as the end of a longer one."""
    bare, known = path.rstrip("/"), tracked()
    if any(name.endswith(f"/{bare}") for name in known):
        return True
    places = [(place / bare).resolve() for place in (ROOT, page.parent)]
    return any(at.is_relative_to(ROOT) and str(at.relative_to(ROOT)) in known for at in places)


def is_ours(path: str) -> bool:
    """Whether a path is meant to be in the repository: by its first folder, or as a source file."""
    tops = {name.partition("/")[0] for name in tracked()}
    if re.search(r"[A-Z]{3,}", path.replace("README", "")):  # for example benchmarks/results/NAME
        return False
    return path.partition("/")[0] in tops or path.endswith(SOURCES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(page: Path) -> None:
    text = text_of(page)
    paths = {path for path in named_paths(text) if is_ours(path)}
    assert {path for path in paths if not exists(path, page)} == set()
    names = {name.rsplit("/", 1)[-1] for name in tracked()}
    spans = [span for span in CODE.findall(text) if not any(word in span for word in OTHERS)]
    bare = {name for span in spans for name in NAME.findall(span)}
    assert bare - names == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_blocks_compile(page: Path) -> None:
    for language, block in BLOCK.findall(text_of(page)):
        if language == "python":
            ast.parse(block.replace("…", "..."))


def test_modules_that_commands_run_exist() -> None:
    found = set()
    for page in PAGES:
        found |= set(re.findall(r"python -m ((?:leanbert|tests)[\w.]*)", text_of(page)))
    assert "leanbert_training.make" in found
    known = tracked()
    for module in found:
        path = module.replace(".", "/")
        roots = ("", "runtime/", "export/", "benchmarks/", "models/")
        assert any(f"{root}{path}.py" in known for root in roots), module


def test_a_dead_link_and_a_wrong_name_are_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "stability.md"
    assert "rules" in anchors(page)
    assert "nothing" not in anchors(page)
    here = tmp_path / "page.md"
    here.write_text("[a](gone.md) [b](https://example.org)\n", encoding="utf-8")
    assert list(broken_links(here)) == ["gone.md"]
    (path,) = named_paths("see `runtime/leanbert/gone.py` and `build/x.py`")
    assert is_ours(path)
    assert not exists(path, page)
    assert exists("docs/stability.md", page)
    assert exists("runtime/leanbert/cli/", page)
    assert exists("kernels/rows.h", page)
    assert not exists("ernels/rows.h", page)
