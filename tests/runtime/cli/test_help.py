"""Help that fits a screen, and one name for one thing, with the older names beside it."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from leanbert import __version__
from leanbert.cli import main
from leanbert.cli.flags import bundle_of
from leanbert.cli.parser import WIDTH, CommandParser
from leanbert.errors import InputError
from tests.helpers.command import Command

COMMANDS = ["predict", "info", "verify", "doctor", "pull", "export", "bench", "completion"]
ACTIONS = ["run", "compare", "report", "compact", "table"]
MODELS: dict[str, dict[str, Any]] = {
    "ner": {"task": "token-classification", "labels": ("O", "B-ORG", "I-ORG")},
    "answers": {"task": "question-answering", "labels": ("start", "end")},
    "bert": {"task": "fill-mask"},
    "nli": {"labels": ("contradiction", "neutral", "entailment")},
    "reranker": {"labels": ("score",)},
    "minilm": {"task": "feature-extraction"},
}


def parser_of(words: str) -> CommandParser:
    """The parser of a command, as ``leanbert`` makes it."""
    modules = {"export": "leanbert_export.cli", "bench run": "leanbert_bench.commands.run"}
    module = import_module(modules.get(words, f"leanbert.cli.{words}"))
    parser = CommandParser(prog=f"leanbert {words}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def shown_help(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


HELPS = [
    [], *([name] for name in COMMANDS), *(["bench", name] for name in ACTIONS),
    *(["predict", "--task", task] for task in (
        "text-classification", "ner", "question-answering", "fill-mask",
        "zero-shot-classification", "text-ranking", "feature-extraction",
    )),
]  # fmt: skip


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_fits_a_screen_whatever_the_terminal(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = shown_help(capsys, *words).splitlines()
    assert len(lines) <= (47 if "predict" in words else 42)
    assert max(map(len, lines)) <= WIDTH
    assert not any(line.endswith(" ") for line in lines)
    assert "None" not in " ".join(lines)
    monkeypatch.setenv("COLUMNS", "40")
    assert shown_help(capsys, *words).splitlines() == lines


@pytest.mark.parametrize("words", HELPS[:14], ids=" ".join)
def test_help_ends_with_examples_of_the_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, found, examples = shown_help(capsys, *words).partition("\nexample")
    assert found
    lines = [line for line in examples.splitlines() if line.startswith("  leanbert")]
    assert lines
    assert all(line.startswith(f"  {' '.join(['leanbert', *words])}") for line in lines)


@pytest.mark.parametrize(
    "words", ["predict", "info", "verify", "doctor", "pull", "export", "bench run", "completion"]
)
def test_help_names_every_flag_and_no_alias(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = parser_of(words)
    out = shown_help(capsys, *words.split())
    if words == "predict":
        out += "".join(shown_help(capsys, *more) for more in HELPS if "--task" in more)
    named = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", out))
    shown = {name for action in parser._actions for name in action.option_strings[-1:]}
    aliases = {"--model", "--pair-column", "--labels", "--texts"}
    if words in {"info", "verify"}:
        aliases.add("--bundle")  # their only argument, which needs no flag
    assert shown - named - {"--help"} <= aliases
    assert not (aliases - {"--bundle"}) & named


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        ("predict", ["--model", "d"], ["--bundle", "d"]),
        ("predict", ["-m", "d"], ["--bundle", "d"]),
        ("predict", ["--pair-column", "b"], ["--text-pair-column", "b"]),
        ("export", ["m", "-o", "d", "--pair-column", "b"],
         ["m", "-o", "d", "--text-pair-column", "b"]),
        ("export", ["m", "-o", "d", "--labels", "b"], ["m", "-o", "d", "--label-column", "b"]),
        ("bench run", ["--model", "d"], ["--checkpoint", "d"]),
        ("bench run", ["--texts", "d"], ["--input", "d"]),
        ("bench run", ["--labels", "d"], ["--label-column", "d"]),
        ("bench run", ["--pair-column", "d"], ["--text-pair-column", "d"]),
        ("verify", ["-m", "d"], ["--bundle", "d"]),
        ("info", ["--model", "d"], ["--bundle", "d"]),
    ],
)  # fmt: skip
def test_older_names_mean_the_same(words: str, old: list[str], new: list[str]) -> None:
    parser = parser_of(words)
    found = vars(parser.parse_args(old))
    assert found == vars(parser.parse_args(new))
    assert found != vars(parser.parse_args(["m", "-o", "d"] if words == "export" else []))


def test_older_names_work_to_the_end(command: Command, tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("text,b\nprofit,loss\n")
    words = ["predict", "-i", path, "--json"]
    new = command(*words, "--bundle", tiny_bundle, "--text-pair-column", "b")
    assert new == command(*words, "--model", tiny_bundle, "--pair-column", "b")
    assert new == command(*words, "-m", tiny_bundle, "--text-pair-column", "b")
    assert new[0] == 0
    for name in ("info", "verify"):
        assert command(name, tiny_bundle) == command(name, "--bundle", tiny_bundle)
        assert command(name, "--json", tiny_bundle) == command(name, "-m", tiny_bundle, "--json")
    assert "name one bundle, not both" in command.wrong("info", tiny_bundle, "-m", "other")
    assert bundle_of(argparse.Namespace()) is None
    with pytest.raises(InputError, match="not both a and b"):
        bundle_of(argparse.Namespace(named="a", bundle="b"))


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(name in err for name in COMMANDS)


@pytest.mark.parametrize("words", [["--no-such"], ["fly"], ["predict", "--fly"], ["export"]])
def test_argparse_refuses(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: leanbert")
    assert err.count("\n") == 2
    assert "usage: leanbert bench run [FLAGS]\n" in refused(capsys, "bench", "run", "--fly")
    assert "--fly\\x1b]0;x\\x07" in refused(capsys, "predict", "--fly\x1b]0;x\x07")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        main(list(words))
    return capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"leanbert {__version__}\n"


def test_examples_of_predict_run(
    tiny_bundle: Path,
    make_bundle: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
) -> None:
    """What the help shows runs, with the tiny bundles in the place of the models."""
    from leanbert.cli import options, predict

    monkeypatch.chdir(tmp_path)
    for name, given in MODELS.items():
        (tmp_path / name).symlink_to(make_bundle(**given))
    (tmp_path / "news.csv").write_text("headline\nprofit rose\n")
    (tmp_path / "report.txt").write_text("Profit rose.\nSales fell. ")
    (tmp_path / "documents.txt").write_text("profit\nloss\n")
    monkeypatch.setattr("leanbert.pipelines.embedded_bundle", lambda _: tiny_bundle)
    blocks = [str(predict.__doc__), *("\n".join(lines) for lines in options._EXAMPLES.values())]
    text = "\n".join(blocks).replace("\\\n", " ")
    examples = [line.strip() for line in text.splitlines() if line.startswith("  leanbert ")]
    assert len(examples) == 9
    for line in examples:
        code, out, err = command(*shlex.split(line)[1:])
        assert (code, err) == (0, "")
        assert out or "-o" in line or "--html" in line
