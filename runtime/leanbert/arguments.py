"""Checks of the arguments that callers pass: each names the value and what is accepted."""

from __future__ import annotations

from collections.abc import Sequence

from leanbert.errors import InputError

__all__ = [
    "ENGINES",
    "MODES",
    "TRUNCATIONS",
    "check_choice",
    "check_count",
    "check_flag",
    "check_text",
    "check_wait",
]

ENGINES = ("auto", "native", "onnxruntime")
"""The engines that a user may ask for."""

MODES = ("latency", "throughput")
"""What a pipeline is tuned for."""

TRUNCATIONS = {
    "longest_first": True,
    "only_first": True,
    "only_second": True,
    "do_not_truncate": False,
}
"""transformers' names of strategies, and whether each cuts a long text."""


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an argument that is none of ``choices``.

    Raises:
        InputError: it is something else.
    """
    if value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(choices)}")


def check_count(
    name: str, value: object, most: int = 1 << 20, *, least: int = 1, bound: str = ""
) -> None:
    """Refuse an optional argument that is no whole number from ``least`` to ``most``.

    Args:
        name: what the caller calls it.
        value: the argument; ``None`` passes.
        most: the largest that makes sense.
        least: the smallest that makes sense.
        bound: what the caller calls the largest, if it has a name.

    Raises:
        InputError: it is something else.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        limit = f"{bound} ({most})" if bound else str(most)
        raise InputError(f"{name} is {value!r}; it must be a whole number from {least} to {limit}")


def check_wait(name: str, value: object) -> None:
    """Refuse an optional argument that is no time in milliseconds, of at most an hour.

    Raises:
        InputError: it is something else.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 3.6e6:
        raise InputError(f"{name} is {value!r}; expected milliseconds from 0 to 3600000, or None")


def check_flag(name: str, value: object) -> None:
    """Refuse an argument that is neither true nor false; numpy's booleans, 0 and 1 are both.

    Raises:
        InputError: it is something else, such as the string ``"false"``.
    """
    if value not in (True, False):
        raise InputError(f"{name} is {value!r}; expected True or False")


def check_text(item: object, number: int) -> str:
    """``item``, the input of this number, where nothing but a string will do.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(item, str):
        raise InputError(f"text {number}: expected a string, got {type(item).__name__}")
    return item
