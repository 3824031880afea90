"""The table of CPUs and systems: what a row says of a run that went right, wrong or elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.native_golden import golden
from tests.native import everywhere
from tests.native.everywhere import Row

Fake = Callable[..., tuple[Path, dict[str, Path]]]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A build whose programs print what they are told, and a case's file."""

    def make(lines: str, path: str = "avx2", status: int = 0) -> tuple[Path, dict[str, Path]]:
        name = next(iter(golden()))
        case = tmp_path / "00.case"
        case.write_bytes(b"")
        printed = lines.format(right=f"00.case: {golden()[name]}")
        for program, code in (("native_replay", 0), ("native_stress", status)):
            script = tmp_path / program
            script.write_text(
                f"#!{sys.executable}\nimport sys\nprint({printed!r})\n"
                f"print('00.case ran {path}', file=sys.stderr)\nsys.exit({code})\n",
                encoding="utf-8",
            )
            script.chmod(0o755)
        return tmp_path, {name: case}

    return make


@pytest.mark.parametrize(
    ("lines", "path", "status", "result"),
    [
        ("{right}", "avx2", 0, "1 of 1 cases: same bits; stress of threads and forks"),
        ("00.case: 0123456789abcdef", "avx2", 0, "**other bits**"),
        ("", "avx2", 0, "**other bits**"),
        ("{right}", "avx512_vnni", 0, "**another path**: {'avx512_vnni'}"),
        ("{right}", "avx2", 1, "1 of 1 cases: same bits, **stress failed**"),
    ],
)
def test_a_row_says_what_happened(
    fake: Fake, lines: str, path: str, status: int, result: str
) -> None:
    folder, files = fake(lines, path, status)
    assert everywhere.run(Row("here", "native", "linux", "avx2"), folder, files) == result


def test_rows_without_their_tools_are_named() -> None:
    row = Row("there", "qemu-user", "arm", "neon", ("no-such-emulator",))
    assert everywhere.why_not(row, {"linux": []}) == "no compiler for arm"
    assert everywhere.why_not(row, {"arm": []}) == "no no-such-emulator"
    made = everywhere.table([(row, "same bits")], ["there, neon (no zig)"])
    assert "| there | neon | qemu-user | same bits |" in made
    assert made.endswith("Not run: there, neon (no zig).")
