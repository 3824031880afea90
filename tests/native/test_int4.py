"""The prototype of matmuls with weights of 4 bits is equal to plain loops, bit by bit."""

from __future__ import annotations

import subprocess

import pytest

from tests.helpers.native_library import isa_or_skip, library_path


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """native_int4 beside the library under test."""
    program = library_path().with_name("native_int4")
    if not program.is_file():
        pytest.skip(f"native_int4 is not built: no {program}")
    return subprocess.run([program, *options], capture_output=True, text=True, check=False)


def test_prototype_is_equal_to_plain_loops() -> None:
    isa_or_skip("avx512_vnni")
    done = run("--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "492 matmuls are equal to plain loops, bit by bit\n"


def test_numbers_are_checked() -> None:
    done = run("--tokens", "8,x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("x: expected numbers from 1")
