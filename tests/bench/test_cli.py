from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from leanbert.cli import main
from leanbert_bench import cli

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
