"""studies.int4.times: its table, and what a program that cannot measure says."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.int4 import times


def program(folder: Path, script: str) -> Path:
    path = folder / "native_int4"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_ratios_are_to_int8_of_the_same_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ", ".join(
        f'{{"threads": 2, "tokens": 8, "variant": "{name}", "ms": {ms}}}'
        for name, ms in (
            ("int8", "[2.5, 4.5, 3.5]"),
            ("int4", "[1.25, 2.25, 1.75]"),
        )
    )
    made = program(tmp_path, f"echo '[{rows}]'")
    assert times.main(["--program", str(made), "--threads", "2"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "| 2 | 1x8 | 3.50 | 0.500× [0.500, 0.500] |"


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo this CPU has not >&2; exit 3", "this CPU has not"), ("echo [", "no results")],
)
def test_a_program_that_cannot_measure_is_one_line(
    script: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert times.main(["--program", str(program(tmp_path, script))]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
