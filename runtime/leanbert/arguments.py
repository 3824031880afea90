"""Checks of the arguments that callers pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leanbert.errors import InputError

__all__ = ["check_choice", "check_count", "check_stride", "check_text", "merge_tokenizer_kwargs"]


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an argument that is none of ``choices``.

    Raises:
        InputError: it is something else.
    """
    if value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(choices)}")


def check_count(name: str, value: object, most: int = 1 << 20) -> None:
    """Refuse an optional argument that is not a whole number from 1 to ``most``.

    Raises:
        InputError: it is something else, and not ``None``.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and 1 <= int(str(value)) <= most):
        raise InputError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")


def check_stride(name: str, value: object, most: int = 1 << 20, bound: str = "") -> None:
    """Refuse an optional number of shared tokens that is not a whole number from 0 to ``most``.

    Args:
        name: what the caller calls it.
        value: the argument; ``None`` passes.
        most: the largest that makes sense.
        bound: what the caller calls that one, if it has a name.

    Raises:
        InputError: it is something else.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and 0 <= int(str(value)) <= most):
        limit = f"{bound} ({most})" if bound else str(most)
        raise InputError(f"{name} is {value!r}; it must be a whole number from 0 to {limit}")


def check_text(item: object, number: int) -> str:
    """``item``, the input of this number, where nothing but a string will do.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(item, str):
        raise InputError(f"text {number}: expected a string, got {type(item).__name__}")
    return item


def merge_tokenizer_kwargs(options: dict[str, Any], name: str) -> dict[str, Any]:
    """Options with ``truncation`` and ``max_length`` taken out of transformers' mapping of them.

    Args:
        options: the arguments of a call.
        name: what the task calls the mapping: ``"tokenizer_kwargs"`` or ``"tokenize_kwargs"``.

    Raises:
        InputError: it is no mapping, asks for something else, or says ``truncation`` once more.
    """
    given = options.get(name)
    rest = {key: value for key, value in options.items() if key != name}
    if given is None:
        return rest
    known = ("truncation", "max_length", "padding")
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise InputError(f"{name} is {given!r}; it may say {', '.join(known)}")
    twice = sorted(set(given) & set(rest))
    if twice:
        raise InputError(f"{', '.join(twice)} is given twice: by itself and in {name}")
    return rest | dict(given)
