"""Run the native engine on every CPU and system that this Linux machine can show; write a table.

For each row the committed cases (``golden_bits.json``) are replayed by ``native_replay`` with 1, 2
and 4 threads, as a whole and text by text, and have to give the committed bits; ``native_stress``
checks threads and, where there are some, forks. Libraries for macOS cannot be run there: they are
compiled, linked and read. Exits 1 if a row fails. Every row has the day on which it ran last: one
that is not run now (``--only``, or its tools are not there: ``apt install qemu-user
g++-aarch64-linux-gnu wine64`` and ``pip install ziglang`` bring them all) stays as the page has it,
or is named below the table. The page is written after each row. Takes about half an hour on two
cores.

    python -m tests.native.everywhere --page docs/cpus.md
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from leanbert.cpu import cpu_name
from leanbert_bench.sections import replace_section, split_section
from tests.helpers.native_golden import cases, golden, is_short, write_case
from tests.helpers.zig import find_zig
from tests.packaging.binaries import read_binary

ROOT = Path(__file__).resolve().parents[2]
START, END = "<!-- native:start -->", "<!-- native:end -->"
PREFIX = "/usr/aarch64-linux-gnu"  # where the cross compiler's libraries are
WINE = ("wine64", "/usr/lib/wine/wine64", "wine")


@dataclass(frozen=True)
class Row:
    """One CPU and system: how a program is started there, and which path has to run."""

    where: str
    how: str
    build: str
    isa: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    chosen: bool = False
    """The path is the one that the library chooses by itself there; else it is asked for."""
    program: str = "native_replay"
    stress: bool = True

    @property
    def forks(self) -> int:
        """Children of each stressed team: qemu-user 7.2 fails in children of threaded programs."""
        return 0 if self.how == "qemu-user" else 3


HERE = f"this machine ({cpu_name()})"
ARM = {"QEMU_LD_PREFIX": PREFIX}
QUIET = {"WINEDEBUG": "-all"}
UNSEEN = "compiled, linked and inspected, never run here"
ZIG = {
    "windows": "x86_64-windows-gnu",
    "musl": "x86_64-linux-musl",
    "arm-musl": "aarch64-linux-musl",
    "macos-x86_64": "x86_64-macos.11.0",
    "macos-arm64": "aarch64-macos.11.0",
}
"""Builds by zig, and its names for what they are for."""
ROWS = (
    Row(HERE, "native", "linux", "avx512_vnni"),
    Row(HERE, "native, EVEX twin of avx_vnni", "linux", "avx_vnni_evex"),
    Row(
        HERE,
        "short cases, its instructions trapped",
        "linux",
        "avx_vnni",
        program="native_trap",
        stress=False,
    ),
    Row(HERE, "native", "linux", "avx2"),
    Row(HERE, "native, condition variables for futexes", "posix", "avx512_vnni"),
    Row(
        "x86-64, Haswell",
        "qemu-user",
        "linux",
        "avx2",
        ("qemu-x86_64", "-cpu", "Haswell-noTSX"),
        chosen=True,
    ),
    *(
        Row(f"AArch64, {cpu}", "qemu-user", "arm", isa, ("qemu-aarch64", "-cpu", cpu), ARM, chosen)
        for cpu, isa, chosen in (
            ("cortex-a53", "neon", True),
            ("cortex-a72", "neon", True),
            ("cortex-a76", "neon_dotprod", True),
            ("max", "neon_dotprod", False),
            ("max", "neon_i8mm", True),
        )
    ),
    *(
        Row("Windows, x86-64", "wine, compiled by zig", "windows", isa, WINE, QUIET, stress=False)
        for isa in ("avx512_vnni", "avx2")
    ),
    Row("Linux with musl, x86-64", "native, compiled by zig", "musl", "avx512_vnni"),
    Row("Linux with musl, x86-64", "native, compiled by zig", "musl", "avx2"),
    *(
        Row(
            "Linux with musl, AArch64",
            "qemu-user",
            "arm-musl",
            isa,
            ("qemu-aarch64", "-cpu", "max"),
        )
        for isa in ("neon", "neon_i8mm")
    ),
    Row("macOS, x86-64", UNSEEN, "macos-x86_64", "all of x86-64"),
    Row("macOS, ARM64", UNSEEN, "macos-arm64", "all of ARM64"),
)


def builds(zig: Path | None) -> dict[str, list[str]]:
    """CMake's options for each build whose compiler is there."""
    found: dict[str, list[str]] = {"linux": [], "posix": ["-DLEANBERT_NATIVE_PLATFORM=posix"]}
    if shutil.which("aarch64-linux-gnu-g++"):
        found["arm"] = [
            "-DCMAKE_SYSTEM_NAME=Linux",
            "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
            "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
        ]
    for name, target in ZIG.items() if zig is not None else ():
        found[name] = [
            "-DCMAKE_TOOLCHAIN_FILE=wheel/zig.cmake",
            f"-DLEANBERT_ZIG={zig}",
            f"-DLEANBERT_NATIVE_TARGET={target}",
            *(["-DLEANBERT_NATIVE_TESTS=OFF"] if name.startswith("macos") else []),
        ]
    return found


def targets(build: str) -> list[str]:
    """What a build has to make: the library, and the programs that its rows run."""
    rows = [row for row in ROWS if row.build == build and row.how != UNSEEN]
    stress = {"native_stress"} if any(row.stress for row in rows) else set()
    return ["leanbert_native", *sorted({row.program for row in rows} | stress)]


def build(name: str, options: Sequence[str], folder: Path) -> None:
    """Compile the library and its programs; ends with the compiler's message if that fails."""
    cores = str(len(os.sched_getaffinity(0)))
    for command in (
        ["cmake", "-S", str(ROOT / "runtime" / "native"), "-B", str(folder), *options],
        ["cmake", "--build", str(folder), "--parallel", cores, "--target", *targets(name)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"everywhere: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr}")


def why_not(row: Row, built: Mapping[str, object]) -> str | None:
    """Why a row cannot be run here."""
    if row.build not in built:
        return f"no compiler for {row.build}"
    return None if starter(row) is not None else f"no {row.command[0]}"


def starter(row: Row) -> list[str] | None:
    """The command in front of a program; ``None`` if it is not there."""
    if row.command is WINE:
        found = next((path for path in map(shutil.which, WINE) if path), None)
        return None if found is None else [found]
    if row.command and shutil.which(row.command[0]) is None:
        return None
    return list(row.command)


def inspect(library: bytes) -> str:
    """What a library that cannot be run here says of itself."""
    binary = read_binary(library)
    if not all(name.startswith("/usr/lib/libSystem.") for name in binary.libraries):
        return f"**needs** {', '.join(sorted(binary.libraries))}"
    if binary.machine == "aarch64" and not binary.signed:
        return "**has no right signature**"
    oldest = ".".join(map(str, binary.oldest))
    signed = "; the signature's hashes are right" if binary.signed else ""
    return f"from macOS {oldest} on; needs libSystem alone{signed}"


def run(row: Row, folder: Path, files: Mapping[str, Path]) -> str:
    """What a row gave: "same bits", or what went wrong."""
    if row.how == UNSEEN:
        return inspect((folder / "libleanbert_native.dylib").read_bytes())
    suffix = ".exe" if row.build == "windows" else ""
    isa = "" if row.chosen else row.isa
    environment = {**os.environ, **row.environment, "LEANBERT_ISA": isa}
    chosen = {name: path for name, path in files.items() if row.isa != "avx_vnni" or is_short(name)}
    program = [str(folder / f"{row.program}{suffix}")]
    if row.program == "native_replay":
        program.append(isa)
    done = subprocess.run(
        [*(starter(row) or []), *program, *(path.name for path in chosen.values())],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=next(iter(files.values())).parent,
    )
    wanted = [f"{path.name}: {golden()[name]}" for name, path in chosen.items()]
    if done.returncode:
        return f"**failed**: {done.stderr.strip().splitlines()[-1:] or done.returncode}"
    if done.stdout.split("\n")[:-1] != wanted:
        return "**other bits**"
    ran = {line.rpartition(" ran ")[2] for line in done.stderr.splitlines() if " ran " in line}
    if row.program == "native_replay" and ran != {row.isa}:
        return f"**another path**: {ran}"
    result = f"{len(chosen)} of {len(files)} cases: same bits"
    if row.stress:
        command = [*(starter(row) or []), str(folder / "native_stress"), "5", str(row.forks)]
        if subprocess.run(command, capture_output=True, env=environment, check=False).returncode:
            return f"{result}, **stress failed**"
        result += "; stress of threads" + (" and forks" if row.forks else "")
    return result


def table(results: Sequence[tuple[Row, str]], left_out: Sequence[str]) -> str:
    """The results, each with its day, in Markdown."""
    lines = ["| CPU, system | path | how | result | ran last |", "| --- | --- | --- | --- | --- |"]
    lines += [start_of(row) + result for row, result in results]
    return "\n".join([*lines, "", *(f"Not run: {line}." for line in left_out)])


def start_of(row: Row) -> str:
    """A row's line up to its result."""
    return f"| {row.where} | {row.isa} | {row.how} | "


def earlier(page: Path | None) -> dict[str, str]:
    """The results that a page has, each with its day, by the start of their lines."""
    if page is None:
        return {}
    lines = split_section(page, START, END)[1].splitlines()
    starts = [start_of(row) for row in ROWS]
    return {
        start: line[len(start) :]
        for line in lines
        for start in starts
        if line[: len(start)] == start
    }


def main(words: Sequence[str] | None = None) -> int:
    """Build, run, show; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "everywhere", metavar="DIR")
    parser.add_argument("--page", type=Path, metavar="FILE", help="where the table goes")
    parser.add_argument("--only", metavar="BUILDS", help="as linux,arm: the rows of these builds")
    arguments = parser.parse_args(words)
    arguments.build.mkdir(parents=True, exist_ok=True)
    found = builds(find_zig())
    only = set(arguments.only.split(",")) if arguments.only else set(found)
    if unknown := sorted(only - {row.build for row in ROWS}):
        parser.error(f"--only: {unknown[0]} is none of {', '.join({row.build: 0 for row in ROWS})}")
    results = earlier(arguments.page)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for i, case in enumerate(cases()):
            files[case.name] = Path(folder) / f"{i:02d}.case"
            write_case(case, files[case.name])
        built = {name: options for name, options in found.items() if name in only}
        for name, options in built.items():
            sys.stderr.write(f"compiling for {name}\n")
            build(name, options, arguments.build / name)
        for row in ROWS:
            if why_not(row, built) is not None:
                continue
            result = run(row, (arguments.build / row.build).resolve(), files)
            sys.stderr.write(f"{row.where}, {row.isa}: {result}\n")
            failed |= "**" in result
            results[start_of(row)] = f"{result} | {datetime.now(tz=timezone.utc).date()} |"
            if arguments.page is not None:
                replace_section(arguments.page, whole(results, found), START, END)
    sys.stdout.write(whole(results, found) + "\n")
    return 1 if failed else 0


def whole(results: Mapping[str, str], built: Mapping[str, object]) -> str:
    """The table of all rows that have a result, and the names of the others."""
    there = [(row, results[start_of(row)]) for row in ROWS if start_of(row) in results]
    left_out = [
        f"{row.where}, {row.isa} ({why_not(row, built) or 'not asked for'})"
        for row in ROWS
        if start_of(row) not in results
    ]
    return table(there, left_out)


if __name__ == "__main__":
    sys.exit(main())
