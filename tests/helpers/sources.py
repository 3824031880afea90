"""The repository's own files, as git sees them."""

from __future__ import annotations

import subprocess

from tests.helpers.processes import ROOT


def source_files() -> list[str]:
    """Every file that git knows or would add, and that is there, as a path from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
