"""What a caller says about long texts, and what is said to the caller."""

from __future__ import annotations

from collections.abc import Sequence

from leanbert.arguments import TRUNCATIONS
from leanbert.errors import InputError, warn
from leanbert.tokenization.encodings import Encodings

__all__ = ["refuse_cut", "report_cut", "truncation_flag"]


def truncation_flag(truncation: bool | str | None) -> bool | None:
    """``truncation`` as ``True``, ``False`` or ``None``, transformers' names for it translated.

    Raises:
        InputError: it is something else.
    """
    if isinstance(truncation, str):
        if truncation not in TRUNCATIONS:
            raise InputError(
                f"truncation is {truncation!r}; expected True, False or one of "
                f"{', '.join(TRUNCATIONS)}"
            )
        return TRUNCATIONS[truncation]
    return truncation


def refuse_cut(cut: Sequence[int], max_length: int) -> None:
    """Refuse texts that are longer than ``max_length`` tokens, if there are any.

    Raises:
        InputError: ``cut``, their numbers, is not empty.
    """
    if cut:
        raise InputError(
            f"{_which(cut)}: longer than {max_length} tokens; pass truncation=True to cut, "
            "or split the text"
        )


def report_cut(encodings: Encodings) -> None:
    """Warn of the texts that were cut where the caller said nothing about it."""
    if encodings.cut:
        warn(
            f"{_which(encodings.cut)}: cut to {encodings.max_length} tokens; pass truncation=True "
            "to cut silently, or truncation=False to raise"
        )


def _which(cut: Sequence[int]) -> str:
    first = f"text {cut[0]}"
    return first if len(cut) == 1 else f"{len(cut)} texts ({first} first)"
