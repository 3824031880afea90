"""The table of CPUs and systems: what a row says of a run that went right, wrong or elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.native_golden import golden
from tests.helpers.zig import find_zig
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
    made = everywhere.table([(row, "same bits | 2026-11-29 |")], ["there, neon (no zig)"])
    assert "| there | neon | qemu-user | same bits | 2026-11-29 |" in made
    assert made.endswith("Not run: there, neon (no zig).")


def test_a_build_makes_what_its_rows_run() -> None:
    assert everywhere.targets("linux") == [
        "leanbert_native",
        "native_replay",
        "native_stress",
        "native_trap",
    ]
    assert everywhere.targets("windows") == ["leanbert_native", "native_replay"]
    assert everywhere.targets("macos-arm64") == ["leanbert_native"]


def test_rows_that_are_not_run_stay_with_their_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "cpus.md"
    old = [f"{everywhere.start_of(row)}same bits | 2020-01-02 |" for row in everywhere.ROWS]
    page.write_text("\n".join([everywhere.START, *old, everywhere.END, ""]), encoding="utf-8")
    monkeypatch.setattr(everywhere, "cases", list)
    monkeypatch.setattr(everywhere, "build", lambda name, options, folder: None)
    monkeypatch.setattr(everywhere, "run", lambda row, folder, files: "**other bits**")
    assert everywhere.main(["--build", str(tmp_path), "--only", "posix", "--page", str(page)]) == 1
    made = page.read_text(encoding="utf-8")
    assert made.count("| same bits | 2020-01-02 |") == len(old) - 1
    assert made.count("| **other bits** | 20") == 1
    assert "Not run" not in made
    with pytest.raises(SystemExit):
        everywhere.main(["--build", str(tmp_path), "--only", "amiga"])
    assert "--only: amiga is none of linux, posix, arm," in capsys.readouterr().err


def test_a_folder_without_zig_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANBERT_ZIG", str(tmp_path))
    with pytest.raises(SystemExit, match="no folder with the program zig in it"):
        find_zig()
    program = tmp_path / "zig"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert find_zig() == program
