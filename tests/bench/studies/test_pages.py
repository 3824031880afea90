"""The tables in README.md and docs are what the committed results give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leanbert.errors import InputError
from studies import pages

PAGES = pages.pages()


def test_pages_with_tables_are_found() -> None:
    assert {page.name for page in PAGES} >= {
        "cpus.md", "embedded.md", "families.md", "fidelity.md", "graph.md", "native.md",
    }  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_the_committed_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- table: ") == text.count("<!-- table end -->")
    assert pages.remade(text) == text, "run: python -m studies.pages"


def test_a_drift_is_seen_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = next(page for page in PAGES if page.name == "embedded.md").read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(re.sub(r"\| import numpy \| \d+ \|", "| import numpy | 2 |", right))
    assert pages.main(["--check", str(page)]) == 1
    assert capsys.readouterr().out == f"{page}\n"
    assert pages.main([str(page)]) == 0
    assert page.read_text() == right
    assert pages.main(["--check", str(page)]) == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("rm -rf docs", "no command that makes tables"),
        ("leanbert bench run --help", "no command that makes tables"),
        ("python -m http.server", "no command that makes tables"),
        ("python -m studies.cold_start --table none.json", "exit code 1"),
    ],
)
def test_other_commands_are_refused(command: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        pages.remade(f"<!-- table: {command} -->\n<!-- table end -->\n")
