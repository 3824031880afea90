"""The site's pages, as ``make docs`` prepares them: all in the navigation, all links lead on."""

from __future__ import annotations

import ast
import posixpath
import re
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from leanbert.pipelines import TASKS
from tests.docs.test_links import BLOCK, ROOT, anchors

SITE = runpy.run_path(str(ROOT / "docs" / "site" / "prepare.py"))
PAGES: dict[str, str] = SITE["pages"]()
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads ``mkdocs.yml``, whose own tags are of no interest here."""


Loader.add_multi_constructor("", lambda loader, suffix, node: suffix)


def navigation() -> dict[str, list[str]]:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    config: Any = yaml.load(text, Loader)  # noqa: S506 - derived from the safe loader
    assert config["strict"] is True
    return {name: pages for group in config["nav"] for name, pages in group.items()}


def headings(text: str) -> set[str]:
    found = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)
    return {SITE["github_anchor"](heading) for heading in found}


def broken(page: str) -> Iterator[str]:
    for target in LINK.findall(BLOCK.sub("", PAGES[page])):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        to = posixpath.normpath(posixpath.join(posixpath.dirname(page), name)) if name else page
        if to not in PAGES or (anchor and anchor not in headings(PAGES[to])):
            yield target


def test_every_page_is_in_the_navigation_once() -> None:
    listed = [page for pages in navigation().values() for page in pages]
    assert sorted(listed) == sorted(PAGES)


def test_the_start_page_names_every_page_in_the_order_of_the_navigation() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for group, pages in navigation().items():
        section = text.partition(f"\n## {group}\n")[2].partition("\n## ")[0]
        named = re.findall(r"\]\(([\w-]+\.md)\)", section)
        assert named == [page for page in pages if page != "README.md" and "/" not in page], group


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_pages_and_headings(page: str) -> None:
    assert list(broken(page)) == []


def test_each_task_has_a_page_with_all_of_its_section() -> None:
    assert {f"tasks/{task}.md" for task in TASKS} < set(PAGES)
    for task in TASKS:
        assert PAGES[f"tasks/{task}.md"].startswith(f"# {task}\n")
        assert f"(tasks/{task}.md)" in PAGES["tasks.md"]
    parts = [text for name, text in PAGES.items() if name.startswith("tasks")]
    whole = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    blocks = sorted(block for part in parts for block in BLOCK.findall(part))
    assert blocks == sorted(BLOCK.findall(whole))
    assert set().union(*map(headings, parts)) == anchors(ROOT / "docs" / "tasks.md")


def test_links_out_of_the_pages_lead_to_the_repository() -> None:
    address = SITE["repository"]()
    assert f"]({address}/blob/main/runtime/native/include/leanbert.h)" in PAGES["c.md"]
    assert f"]({address}/blob/main/models/leanbert_training/README.md)" in PAGES["embedded.md"]
    assert not any("](../" in PAGES[page] for page in PAGES if "/" not in page)
    assert "](../tasks.md#answers-as-a-page)" in PAGES["tasks/text-classification.md"]


def test_what_the_api_page_names_exists_and_is_described() -> None:
    names = DIRECTIVE.findall(PAGES["api.md"])
    assert "leanbert.pipelines.pipeline" in names
    for name in names:
        assert documented(name), name


def documented(name: str) -> bool:
    """Whether the sources have it with a docstring; nothing is imported, Ray and Spark least."""
    *parts, last = name.split(".")
    for path in (f"{'/'.join([*parts, last])}.py", f"{'/'.join([*parts, last])}/__init__.py"):
        if (ROOT / "runtime" / path).is_file():
            return bool(ast.get_docstring(parsed(ROOT / "runtime" / path)))
    folder = ROOT / "runtime" / "/".join(parts)
    files = folder.glob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.name == last
        and ast.get_docstring(node)
        for path in files
        for node in parsed(path).body
    )


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_a_dead_link_ends_the_preparation() -> None:
    relinked = SITE["pages"].__globals__["_relinked"]
    with pytest.raises(ValueError, match=r"docs/c\.md: links to \.\./gone\.h, which does not ex"):
        relinked("[a](../gone.h)", "c.md", "c.md", {}, "https://example.org")
    kept = "```\n[a](../gone.h)\n```\n"
    assert relinked(kept, "c.md", "c.md", {}, "https://example.org") == kept


def test_roles_become_names(monkeypatch: pytest.MonkeyPatch) -> None:
    griffe = SimpleNamespace(Extension=object, Object=object)  # in the site's environment alone
    monkeypatch.setitem(sys.modules, "griffe", griffe)
    extension = runpy.run_path(str(ROOT / "docs" / "site" / "docstrings.py"))
    function = SimpleNamespace(
        docstring=SimpleNamespace(value="a :class:`~a.b.C` of :data:`D`, ``x``")
    )
    extension["Roles"]().on_object(obj=function)
    assert function.docstring.value == "a `C` of `D`, ``x``"
    extension["Roles"]().on_object(obj=SimpleNamespace(docstring=None))


HOSTS = re.findall(
    r"<!-- run -->\n```python\n(.*?)^```",
    (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(
    ("block", "said"),
    [*zip(HOSTS, ("'positive'", "negative 0.9"), strict=True)],
)
def test_the_programs_of_the_guide_for_hosts_answer(
    block: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "onnxruntime" in block:
        pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(block, "hosts.md", "exec"), {})  # noqa: S102 - our own page
    assert said in capsys.readouterr().out
