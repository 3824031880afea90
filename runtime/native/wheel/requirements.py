"""The runtime's dependencies, for the build backend: those of ``pyproject.toml`` that exist there.

A marker can tell systems and CPUs apart, but not musl from glibc. So a wheel for musl does not
require what is published for glibc alone, and the source distribution says that its dependencies
may differ from a wheel's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from packaging.requirements import Requirement
from packaging.tags import sys_tags

__all__ = ["dynamic_metadata", "dynamic_wheel"]


def dynamic_metadata(settings: Mapping[str, Any], _project: Mapping[str, Any]) -> dict[str, Any]:
    """``project.dependencies`` of what is built; ``settings`` are ``pyproject.toml``'s."""
    left_out = settings["glibc-only"] if _for_musl() else []
    wanted = [line for line in settings["dependencies"] if Requirement(line).name not in left_out]
    return {"dependencies": wanted}


def dynamic_wheel(_settings: Mapping[str, Any]) -> dict[str, bool]:
    """A wheel's dependencies may differ from those of the source distribution."""
    return {"dependencies": True}


def _for_musl() -> bool:
    """Whether a wheel that is built now is for musl: for another system, or for this Python."""
    named = os.environ.get("_PYTHON_HOST_PLATFORM")
    if named:
        return named.startswith("musllinux")
    return any(tag.platform.startswith("musllinux") for tag in sys_tags())
