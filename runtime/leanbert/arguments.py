"""Checks of the arguments that callers pass."""

from __future__ import annotations

from leanbert.errors import InputError

__all__ = ["check_count"]


def check_count(name: str, value: object, most: int = 1 << 20) -> None:
    """Refuse an optional argument that is not a whole number from 1 to ``most``.

    Raises:
        InputError: it is something else, and not ``None``.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and 1 <= int(str(value)) <= most):
        raise InputError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
