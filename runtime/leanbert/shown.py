"""Text for people to read: lists in a sentence, and strangers' text without control characters."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["OBEYED", "counted", "listed", "one_line", "shown"]

OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, line separators, and what turns the direction of the text that follows."""

_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def shown(text: object) -> str:
    r"""``text`` with control characters as escapes (``\x1b``, ``\n``), for people to read."""
    return OBEYED.sub(_escaped, str(text))


def one_line(text: str) -> str:
    r"""The same with each backslash doubled, so that a program can undo it."""
    return shown(text.replace("\\", "\\\\"))


def listed(names: Sequence[str], word: str = "or") -> str:
    """``names`` as a sentence lists them: ``"a, b or c"``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def counted(number: int, word: str) -> str:
    """``"1 row"``, ``"2,000 rows"``: how many there are of what ``word`` names."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return _SHORT.get(found[0]) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")
