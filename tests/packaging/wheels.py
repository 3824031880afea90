"""Build the wheel of every platform and the source distribution, on one Linux machine, with zig.

The bytes depend on the sources, on the versions of the tools, and on ``SOURCE_DATE_EPOCH`` (the
last commit's time where it is not set), and on nothing else; ``--twice`` shows it. What the wheels
hold is checked by ``test_wheels.py``, which ``make wheels`` runs next.

    python -m tests.packaging.wheels -o dist
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.sources import source_files
from tests.helpers.zig import find_zig

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["TARGETS", "Target", "build_all", "checkout"]


@dataclass(frozen=True)
class Target:
    """A platform that has a wheel."""

    tag: str
    """The wheel's platform tag, which says what the library may ask of the system."""
    zig: str
    """The same for the compiler."""


TARGETS = (
    Target("manylinux_2_17_x86_64", "x86_64-linux-gnu.2.17"),
    Target("manylinux_2_17_aarch64", "aarch64-linux-gnu.2.17"),
    Target("musllinux_1_2_x86_64", "x86_64-linux-musl"),
    Target("musllinux_1_2_aarch64", "aarch64-linux-musl"),
    Target("macosx_11_0_arm64", "aarch64-macos.11.0"),
    Target("macosx_11_0_x86_64", "x86_64-macos.11.0"),
    Target("win_amd64", "x86_64-windows-gnu"),
    Target("win_arm64", "aarch64-windows-gnu"),
)


def checkout(folder: Path) -> None:
    """Copy the sources as git sees them, so that nothing that lies around gets into a build."""
    for name in source_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)


def build_all(sources: Path, out: Path, zig: Path, targets: Sequence[Target] = TARGETS) -> None:
    """Build the source distribution into the folder ``out``, and from it the wheels.

    The builds see a copy of ``sources`` in a folder of their own, whose name must not matter.

    Raises:
        SystemExit: a build failed; its output was shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        shutil.copytree(sources, source)
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _last_commit(),
            "LEANBERT_NATIVE": "require",
            "LEANBERT_ZIG": str(zig.parent),
        }
        _build("--sdist", source, out, environment)
        (sdist,) = out.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        unpacked = Path(folder) / sdist.name.removesuffix(".tar.gz")
        for target in targets:
            sys.stderr.write(f"wheels: {target.tag}\n")
            environment["_PYTHON_HOST_PLATFORM"] = target.tag  # the tag, for scikit-build-core
            _build(
                "--wheel",
                unpacked,
                out,
                environment,
                "-Ccmake.define.CMAKE_TOOLCHAIN_FILE=wheel/zig.cmake",
                f"-Ccmake.define.LEANBERT_NATIVE_TARGET={target.zig}",
            )


def _build(what: str, source: Path, out: Path, environment: dict[str, str], *more: str) -> None:
    """Without isolation: the tools are those beside this Python, in the pinned versions."""
    command = ["-m", "build", "--no-isolation", what, "--outdir", str(out), *more, str(source)]
    done = subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}wheels: {' '.join(command)} failed")


def _last_commit() -> str:
    """Its time, in seconds since 1970."""
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main(words: Sequence[str] | None = None) -> int:
    """Build; with ``--twice``, compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "dist", metavar="DIR")
    parser.add_argument("--only", metavar="TAG", help="the wheel of this platform alone")
    parser.add_argument("--twice", action="store_true", help="again, and compare every byte")
    arguments = parser.parse_args(words)
    zig = find_zig()
    if zig is None:
        parser.error("there is no zig; pip install ziglang")
    targets = [target for target in TARGETS if arguments.only in (None, target.tag)]
    if not targets:
        parser.error(f"--only: expected one of {', '.join(target.tag for target in TARGETS)}")
    if arguments.out.is_dir() and any(arguments.out.iterdir()):
        parser.error(f"{arguments.out}: is not empty")
    with tempfile.TemporaryDirectory() as folder:
        sources, again = Path(folder) / "sources", Path(folder) / "again"
        checkout(sources)  # once: who edits a file meanwhile changes neither build
        build_all(sources, arguments.out, zig, targets)
        if not arguments.twice:
            return 0
        build_all(sources, again, zig, targets)
        names = sorted(path.name for path in arguments.out.iterdir())
        same, _, _ = filecmp.cmpfiles(arguments.out, again, names, shallow=False)
    for name in sorted(set(names) - set(same)):
        sys.stderr.write(f"wheels: {name} was built twice and differs\n")
    return 0 if same == names else 1


if __name__ == "__main__":
    sys.exit(main())
