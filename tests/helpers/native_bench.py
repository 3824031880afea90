"""The benchmark that CMake builds beside the native library."""

import subprocess

import pytest

from tests.helpers.native_library import library_path

__all__ = ["native_bench"]


def native_bench(*options: str) -> subprocess.CompletedProcess[str]:
    """Run native_bench beside the library under test; the test is skipped where it is not built."""
    program = library_path().with_name("native_bench")
    if not program.is_file():
        pytest.skip(f"native_bench is not built: no {program}")
    return subprocess.run([program, *options], capture_output=True, text=True, check=False)
