"""Scripts for shells know every command and every flag that the help names; bash runs its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leanbert.cli import _COMMANDS, command_parser
from leanbert.cli.completion import _parsers
from tests.helpers.command import Command

ASK = """
source {script}
COMP_WORDS=({words} "")
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
COMP_WORDS[COMP_CWORD]={last}
COMP_LINE="${{COMP_WORDS[*]}}" COMP_POINT=${{#COMP_LINE}}
_shtab_leanbert
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_names_every_command_and_flag(shell: str, command: Command) -> None:
    pytest.importorskip("shtab")
    code, script, err = command("completion", shell)
    assert (code, err) == (0, "")
    missing = [name for name in _COMMANDS if name not in script]
    aliases = {"--model", "--pair-column", "--texts"}
    for parser in _parsers(command_parser()):
        for action in parser._actions:
            flags = [name for name in action.option_strings if name.startswith("--")]
            plain = [name.lstrip("-") if shell == "fish" else name for name in flags]
            if aliases.isdisjoint(flags) and "--help" not in flags:
                missing += [name for name in plain[-1:] if not re.search(rf"{name}\b", script)]
    assert set(missing) <= {"--bundle", "bundle", "--labels", "labels"}  # aliases of some commands
    assert not re.search(r"--pair-column|-l pair-column", script)
    assert "feature-extraction" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "last", "found"),
    [
        ("leanbert", "p", {"predict", "pull"}),
        ("leanbert", "--v", {"--version"}),
        ("leanbert predict", "--top", {"--top-k"}),
        ("leanbert predict --task", "text", {"text-classification", "text-ranking"}),
        ("leanbert predict --engine", "n", {"native"}),
        ("leanbert bench", "com", {"compare", "compact"}),
        ("leanbert bench run", "--random", {"--random-weights"}),
        ("leanbert completion", "", {"bash", "zsh", "fish"}),
        ("leanbert info", "mod", {"models"}),
        ("leanbert predict -i", "new", {"news.csv"}),
    ],
)
def test_bash_completes(
    words: str, last: str, found: set[str], command: Command, tmp_path: Path
) -> None:
    pytest.importorskip("shtab")
    (tmp_path / "models").mkdir()
    (tmp_path / "news.csv").touch()
    script = tmp_path / "script.bash"
    script.write_text(command("completion", "bash")[1], encoding="utf-8")
    asked = ASK.format(script=script, words=words, last=last or '""')
    done = subprocess.run(
        ["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert {line.strip().rstrip("/") for line in done.stdout.splitlines()} - {""} == found


def test_without_shtab_one_line_says_what_to_install(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert "pip install 'leanbert[completion]'" in command.wrong("completion", "bash")


def test_no_other_command_imports_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert command("doctor")[0] == 0
