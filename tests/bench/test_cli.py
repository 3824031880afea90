from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from leanbert.cli import main
from leanbert_bench import cli
from leanbert_bench.results.schema import write_json
from tests.helpers.bench_results import VARIETY

FORBIDDEN = [
    "torch", "transformers", "optimum", "numpy", "onnxruntime", "psutil", "pandas", "matplotlib",
]  # fmt: skip


@pytest.mark.parametrize("action", ["compare", "compact", "report", "table"])
def test_help_shows_examples(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bench", action, "--help"])
    assert stop.value.code == 0
    assert f"leanbert bench {action} " in capsys.readouterr().out.partition("xamples")[2]


def test_the_help_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in ("run", "compare", "compact", "report", "table"))


@pytest.mark.parametrize("action", ["report", "run"])
def test_a_file_in_the_place_of_the_reports(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("years of work", encoding="utf-8")
    write_json(tmp_path / "results.json", VARIETY["whole"])
    words = {"report": [str(tmp_path / "results.json")], "run": ["--random-weights", "minilm"]}
    assert main(["bench", action, *words[action], "-o", str(taken)]) == 2
    told = f"leanbert: {taken}: is a file; name a directory for the outputs\n"
    assert capsys.readouterr().err.endswith(told)
    assert taken.read_text(encoding="utf-8") == "years of work"


def test_a_directory_in_the_place_of_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused before anything is measured."""
    (tmp_path / "taken.json").mkdir()
    output = str(tmp_path / "taken.json")
    assert main(["bench", "run", "--random-weights", "minilm", "-o", output]) == 2
    told = f"leanbert: {output}: is a directory; name the file to write\n"
    assert capsys.readouterr().err.endswith(told)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.json"]


def test_an_unknown_action_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["juggle"])
    assert stop.value.code == 2
    assert "juggle" in capsys.readouterr().err


def test_reading_results_needs_nothing_heavy() -> None:
    modules = (
        "cli", "commands.compare", "commands.compact", "commands.report", "commands.table",
        "results.compare", "results.compact", "report.readme", "report.terminal", "report.writing",
    )  # fmt: skip
    names = ", ".join(f"leanbert_bench.{module}" for module in modules)
    code = f"import sys, {names}\nsys.exit(', '.join({set(FORBIDDEN)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
