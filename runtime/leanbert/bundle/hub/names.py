"""Which names are those of repositories on the hub."""

from __future__ import annotations

import re
from pathlib import Path

from leanbert.bundle.reading import status
from leanbert.errors import InputError

__all__ = ["check_repository", "is_repository"]

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_PART}/{_PART}", re.ASCII)
_LONGEST = 96  # characters, as the hub allows


def is_repository(model: object) -> bool:
    """Whether ``model`` names a repository on the hub, and nothing on this machine.

    Such a name is ``owner/name``, as a string. Whatever exists under that path goes first, as in
    transformers; a ``Path``, and a string such as ``./owner/name``, always mean a directory.
    """
    return isinstance(model, str) and _is_valid(model) and status(Path(model)) is None


def check_repository(name: str) -> None:
    """Refuse what cannot be a repository's name.

    Raises:
        InputError: it is not of the form ``owner/name``.
    """
    if not _is_valid(name):
        raise InputError(f"{name!r} names no repository of the hub; give it as owner/name")


def _is_valid(name: str) -> bool:
    fits = len(name) <= _LONGEST and _NAME.fullmatch(name) is not None
    return fits and "--" not in name and ".." not in name
