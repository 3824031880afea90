"""LeanBERT where onnxruntime is not installed: on musl, on Intel Macs, in a frozen program."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leanbert.engines.native.binding import why_no_library
from tests.helpers.processes import python

pytestmark = pytest.mark.skipif(
    why_no_library() is not None, reason=f"no native engine: {why_no_library()}"
)

ABSENT = """
import sys
sys.modules["onnxruntime"] = None  # importing it fails, and find_spec finds nothing
from leanbert.cli import main
sys.exit(main(sys.argv[1:]))
"""
PRESENT = """
import sys
from leanbert.cli import main
status = main(sys.argv[1:])
sys.exit(status or "onnxruntime" in sys.modules)
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def absent(tmp_path: Path) -> Run:
    """Run ``leanbert`` where there is no onnxruntime."""
    return lambda *words: python(["-c", ABSENT, *words], tmp_path)


def test_the_embedded_model_predicts(absent: Run) -> None:
    done = absent("predict", "Sales fell and the firm cut 400 jobs.")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("negative\t")


def test_the_golden_texts_are_answered_by_the_native_engine(absent: Run) -> None:
    done = absent("verify")
    assert done.returncode == 0, done.stderr
    assert "golden texts within" in done.stdout
    assert "the package onnxruntime is not installed" in done.stdout + done.stderr


def test_the_card_says_what_computes(absent: Run) -> None:
    done = absent("info")
    assert done.returncode == 0, done.stderr
    assert "engine here" in done.stdout
    assert " native\n" in done.stdout


def test_doctor_says_what_is_missing(absent: Run) -> None:
    done = absent("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if "  " in line)
    assert lines["engine"] == "native"
    assert lines["matmuls"] == "unknown without onnxruntime"


@pytest.mark.parametrize(
    "words",
    [("predict", "text"), ("predict", "--engine", "onnxruntime", "text"), ("verify",)],
    ids=" ".join,
)
def test_what_needs_it_names_it_in_one_line(
    absent: Run, tiny_bundle: Path, words: tuple[str, ...]
) -> None:
    command, *rest = words
    model = ["-m", tiny_bundle] if command == "predict" else [tiny_bundle]
    done = absent(command, *model, *rest)
    assert done.returncode in (1, 2)
    assert "onnxruntime is not installed" in done.stderr
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


@pytest.mark.parametrize(
    "words", [("predict", "Sales fell."), ("info",), ("verify", "--engine", "native")], ids=" ".join
)
def test_a_native_bundle_does_not_import_it(words: tuple[str, ...], tmp_path: Path) -> None:
    done = python(["-c", PRESENT, *words], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
