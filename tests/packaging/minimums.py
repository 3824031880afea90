"""Print the lowest versions of the runtime's dependencies that pyproject.toml allows, for pip."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["minimums"]


def minimums(pyproject: str) -> list[str]:
    """For each of ``dependencies`` its lower bound as a requirement, ``"numpy==1.24"``.

    Raises:
        ValueError: one has none.
    """
    # Without tomllib, which Python 3.10 does not have.
    found = re.search(r"^dependencies = \[(.*?)\]$", pyproject, re.MULTILINE | re.DOTALL)
    lowest = []
    for requirement in re.findall(r'"([^"]*)"', found[1] if found else ""):
        bound = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
        if bound is None:
            raise ValueError(f"{requirement}: has no lower bound")
        lowest.append(f"{bound[1]}=={bound[2]}")
    return lowest


if __name__ == "__main__":
    sys.stdout.write(" ".join(minimums((ROOT / "pyproject.toml").read_text("utf-8"))) + "\n")
