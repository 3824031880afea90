"""The command as a process of its own: what it settles, and how it ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanbert.cli import process, runtime_command
from tests.helpers.processes import python


@pytest.mark.parametrize(
    ("words", "runtime"),
    [
        (["predict", "Sales fell."], True),
        (["--version"], False),
        (["info"], True),
        (["export", "model"], False),
        (["bench", "run"], False),
        ([], False),
        (["predictt"], False),
    ],
)
def test_which_commands_are_the_runtimes(words: list[str], runtime: bool) -> None:
    assert runtime_command(words) is runtime


class Ended(BaseException):
    """In the place of the end of this process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = gc.get_threshold()
    yield codes
    gc.set_threshold(*before)


def test_the_runtimes_command_starts_no_threads_of_numpy(
    ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(sys, "argv", ["leanbert", "predict", "Sales fell."])

    def main() -> int:
        seen.append(os.environ.get("OPENBLAS_NUM_THREADS"))
        return 3

    monkeypatch.setattr(process, "main", main)
    with pytest.raises(Ended):
        process.command()
    assert (ends, seen) == ([3], ["1"])


def test_an_export_keeps_numpys_threads_and_ends_as_python_does(
    ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["leanbert", "export", "model"])
    monkeypatch.setattr(process, "main", lambda: 2)
    with pytest.raises(SystemExit) as ended:
        process.command()
    assert ended.value.code == 2
    assert ends == []
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_number_of_threads_that_the_user_set_stays(
    ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setattr(sys, "argv", ["leanbert", "info"])
    monkeypatch.setattr(process, "main", lambda: 0)
    with pytest.raises(Ended):
        process.command()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


def test_all_output_is_written_before_the_end(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    texts = [f"profit rose {i}" for i in range(300)]
    words = [sys.executable, "-m", "leanbert", "predict", "-m", str(tiny_bundle), *texts]
    with out.open("w") as file:
        assert subprocess.run(words, check=False, stdout=file).returncode == 0
    assert len(out.read_text().splitlines()) == len(texts)


def test_a_missing_bundle_is_said_before_numpy_loads(tmp_path: Path) -> None:
    script = (
        "import sys; from leanbert.cli import main; code = main(['predict', '-m', 'no', 'x']); "
        "print(code, 'numpy' in sys.modules)"
    )
    done = python(["-c", script], tmp_path)
    assert done.stdout == "1 False\n"
    assert "no: does not exist" in done.stderr
