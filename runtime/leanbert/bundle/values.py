"""Values out of JSON files that others wrote: each of the type and size that it must have.

The functions raise :class:`WrongValueError` with a message that names the value; the caller adds
the file and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

__all__ = [
    "WrongValueError",
    "boolean",
    "brief",
    "is_whole",
    "items",
    "mapping",
    "number",
    "text",
    "whole",
]

_SHOWN = 60  # characters of a wrong value that a message repeats


class WrongValueError(ValueError):
    """A value has a type or a size that it cannot have."""


def brief(value: object) -> str:
    """``value`` for a message: short, on one line, and without control characters."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} keys"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def is_whole(value: object) -> TypeGuard[int]:
    """Whether ``value`` is a whole number; ``True`` and 1.0 are none."""
    return type(value) is int


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``."""
    if not is_whole(value) or not least <= value <= most:
        raise WrongValueError(
            f"{name} is {brief(value)}; expected a whole number from {least:,} to {most:,}"
        )
    return value


def number(name: str, value: object) -> float:
    """Any number that a float can hold."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise WrongValueError(f"{name} is {brief(value)}; expected a number")


def boolean(name: str, value: object) -> bool:
    """``True`` or ``False``."""
    if not isinstance(value, bool):
        raise WrongValueError(f"{name} is {brief(value)}; expected true or false")
    return value


def text(name: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise WrongValueError(f"{name} is {brief(value)}; expected a string")
    return value


def mapping(name: str, value: object) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, Mapping):
        raise WrongValueError(f"{name} is {brief(value)}; expected an object")
    return value


def items(name: str, value: object) -> Sequence[Any]:
    """A list."""
    if not isinstance(value, list):
        raise WrongValueError(f"{name} is {brief(value)}; expected a list")
    return value
