"""Start Python or the ``leanbert`` command as a user does: another process, another directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [*(ROOT / name for name in ("runtime", "export", "benchmarks", "models")), ROOT]


def environment() -> dict[str, str]:
    """This process's, with the sources importable from any directory."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, SOURCES)),
        "PYTHONIOENCODING": "utf-8",
    }


def python(
    arguments: Sequence[object], cwd: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end; stdin is empty unless ``input`` is given."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        **({"stdin": subprocess.DEVNULL} | options if "input" not in options else options),
    )


def leanbert(*arguments: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return python(["-m", "leanbert", *arguments], cwd, **options)


def begin(*arguments: object, cwd: Path) -> subprocess.Popen[bytes]:
    """Start Python with pipes for its streams, and with the default action of Ctrl-C.

    A shell starts what is to run in the background with SIGINT ignored, and children inherit that.
    """

    def restore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=restore if os.name == "posix" else None,
    )
