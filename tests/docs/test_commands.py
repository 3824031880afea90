"""Every command line and every flag that a page shows is one that ``leanbert`` has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from leanbert.cli import main
from leanbert.pipelines import TASKS
from tests.docs.test_links import BLOCK, CODE, PAGES, text_of

FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
COMMAND = re.compile(r"(?<![\w./-])leanbert (bench [a-z]+|[a-z]+)([^|#`\n]*)")
BENCH = ("run", "report", "compare", "table", "compact")
ONE_WORD = ("predict", "info", "verify", "doctor", "pull", "export", "bench", "completion")
COMMANDS = (*ONE_WORD, *(f"bench {name}" for name in BENCH))
OWN_PAGES = [page for page in PAGES if page.parent.name not in {"fuzz", "leanbert_training"}]
"""The others describe commands of their own."""
ELSEWHERE = {
    "frozen.md": {"--add-data", "--include-data-files", "--strip"},
    "native.md": {"--isa", "--every-token", "--slow"},
}
"""Flags of other programs that a page names alone."""


@pytest.fixture
def flags(capsys: pytest.CaptureFixture[str]) -> Mapping[str, set[str]]:
    """The flags that the help of each command shows, for ``predict`` those of every task."""

    def shown(*words: str) -> set[str]:
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        return set(FLAG.findall(capsys.readouterr().out))

    found = {command: shown(*command.split()) for command in COMMANDS}
    for task in TASKS:
        found["predict"] |= shown("predict", "--task", task)
    return found


def command_lines(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a page with the rest of its line."""
    blocks = [block.replace("\\\n", " ") for name, block in BLOCK.findall(text) if name != "python"]
    for part in [*blocks, *CODE.findall(BLOCK.sub("", text))]:
        for command, rest in COMMAND.findall(part):
            if command != "import":
                yield command, rest


def strange_flags(page: Path, flags: Mapping[str, set[str]]) -> Iterator[str]:
    text = text_of(page)
    for command, rest in command_lines(text):
        if command not in flags:
            yield f"leanbert {command}"
            continue
        for flag in FLAG.findall(rest):
            if flag not in flags[command]:
                yield f"leanbert {command} {flag}"
    known = set().union(*flags.values()) | ELSEWHERE.get(page.name, set())
    for span in CODE.findall(BLOCK.sub("", text)):
        if span.startswith("--") and not known.issuperset(FLAG.findall(span)):
            yield span


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda page: page.name)
def test_commands_and_flags_that_are_named_exist(page: Path, flags: Mapping[str, set[str]]) -> None:
    assert list(strange_flags(page, flags)) == []


def test_a_wrong_flag_and_a_wrong_command_are_found(
    tmp_path: Path, flags: Mapping[str, set[str]]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`leanbert info --nothing`, `--nowhere`\n\n```\nleanbert guess --task a\n```\n",
        encoding="utf-8",
    )
    assert list(strange_flags(page, flags)) == [
        "leanbert guess",
        "leanbert info --nothing",
        "--nowhere",
    ]
    assert {"--query", "--question", "--text-column"} <= flags["predict"]
