r"""Regular expressions of a tokenizer: is their time bounded?

The tokenizers library searches by backtracking (Oniguruma). A pattern such as ``(x+x+)+y`` tries
every way to divide a run of ``x``: twice as many for each further character. So a pattern must be
plain enough that one search takes at most about the square of the text's length:

- a group that repeats holds nothing that varies: ``(\d{3})+`` may stand, ``(x+)+`` and ``(a|b)*``
  may not;
- in one alternative, at most one open repetition (``*``, ``+``, ``{2,}``) is followed by something
  that can fail to match;
- nothing refers back to a group, and there are no conditions, calls or absence operators.

The patterns of published tokenizers (GPT-2 and its kin, tiktoken, CLIP, SentencePiece) are of this
kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod

__all__ = ["why_unbounded"]

_MOST_CHARACTERS = 20_000
_MOST_DEPTH = 50  # groups within groups
_MOST_WAYS = 256  # to take the optional parts of one alternative
_OPEN = 100  # so many repetitions count as open

_GROUP = re.compile(r"\(\?(?:[imsnaWDSPuy-]*:|[=!>]|<[=!]|<[A-Za-z_]\w*>|[imsnaWDSPuy-]+(?=\)))")
_ESCAPE = re.compile(
    r"\\(?:[pP]\{[^}]*\}|[xo]\{[0-9A-Fa-f ]*\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{1,2}|.)", re.S
)
_COUNT = re.compile(r"\{(?:(\d{1,6})(,?)(\d{0,6})|,(\d{1,6}))\}")
_CALLS = frozenset("gk123456789")


class _RefusedError(Exception):
    """The pattern is not of the plain kind; the message says what it has."""


@dataclass(frozen=True)
class _Part:
    """A sequence, or one element of it."""

    loops: int = 0
    """Open repetitions in it."""
    ways: int = 1
    """Ways to take what is optional or repeats a bounded number of times."""
    varies: bool = False
    """Whether it can match texts of several forms: a repetition or an alternative."""
    can_fail: bool = True
    """Whether it must match something."""


def why_unbounded(pattern: str) -> str | None:
    """What makes the time of a search for ``pattern`` unbounded, in a clause; ``None`` if nothing.

    The clause follows the pattern: "… has several open repetitions, one after the other".
    """
    if len(pattern) > _MOST_CHARACTERS:
        return f"is longer than {_MOST_CHARACTERS:,} characters"
    try:
        _Reader(pattern).read()
    except _RefusedError as refused:
        return str(refused)
    return None


class _Reader:
    """Reads a pattern once, from the left to the right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> None:
        self._alternatives(0)
        if self._at < len(self._pattern):
            raise _RefusedError("has a closing parenthesis too many")

    def _alternatives(self, depth: int) -> _Part:
        """The sequences between ``|`` up to a closing parenthesis or the end."""
        if depth > _MOST_DEPTH:
            raise _RefusedError(f"has groups in more than {_MOST_DEPTH} levels")
        found = [self._sequence(depth)]
        while self._peek() == "|":
            self._at += 1
            found.append(self._sequence(depth))
        return _Part(
            loops=max(part.loops for part in found),
            ways=max(part.ways for part in found),
            varies=len(found) > 1 or found[0].varies,
            can_fail=all(part.can_fail for part in found),
        )

    def _sequence(self, depth: int) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")"):
            grouped = self._peek() == "("
            parts.append(self._quantified(self._atom(depth), grouped=grouped))
        tried = list(parts)
        if depth == 0:  # what stands last is tried once: nothing behind it can fail
            while tried and not tried[-1].can_fail:
                tried.pop()
            del tried[-1:]
        loops = sum(part.loops for part in tried)
        ways = prod(part.ways for part in tried)
        if loops > 1:
            raise _RefusedError("has several open repetitions, one after the other")
        if ways > _MOST_WAYS:
            raise _RefusedError("has too many optional parts, one after the other")
        return _Part(
            loops,
            ways,
            varies=any(part.varies for part in parts),
            can_fail=any(part.can_fail for part in parts),
        )

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _atom(self, depth: int) -> _Part:
        """One character, class, escape or group."""
        character = self._peek()
        if character == "(":
            return self._group(depth)
        if character == "[":
            self._class()
        elif character == "\\":
            found = _ESCAPE.match(self._pattern, self._at)
            if found is None:
                raise _RefusedError("ends in a backslash")
            if found.group()[1] in _CALLS:
                raise _RefusedError("refers to a group of its own")
            self._at = found.end()
        else:
            self._at += 1
        return _Part()

    def _group(self, depth: int) -> _Part:
        looks = self._pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), self._at)
        if self._pattern.startswith("(?", self._at):
            found = _GROUP.match(self._pattern, self._at)
            if found is None:
                raise _RefusedError("has a group of an unusual kind")
            self._at = found.end()
        else:
            self._at += 1
        inner = self._alternatives(depth + 1)
        if self._peek() != ")":
            raise _RefusedError("has a group that does not end")
        self._at += 1
        return replace(inner, can_fail=True) if looks else inner

    def _class(self) -> None:
        """A bracket expression, which may hold others."""
        depth = 0
        while self._at < len(self._pattern):
            character = self._peek()
            if character == "\\":
                self._at += 1
            elif character == "[":
                depth += 1
                if self._pattern.startswith("[^", self._at):
                    self._at += 1
                if self._pattern.startswith("]", self._at + 1):  # a bracket as the first member
                    self._at += 1
            elif character == "]":
                depth -= 1
            self._at += 1
            if depth == 0:
                return
        raise _RefusedError("has a bracket that does not close")

    def _quantified(self, atom: _Part, *, grouped: bool) -> _Part:
        """The atom with the quantifier behind it."""
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return atom
        counted = self._pattern[self._at - 1] == "}"
        if self._peek() == "?" or (self._peek() == "+" and not counted):
            self._at += 1  # lazy or possessive
        if self._peek() in ("*", "+", "?") or _COUNT.match(self._pattern, self._at):
            raise _RefusedError("repeats a repetition")
        if grouped and most > 1 and atom.varies:
            raise _RefusedError("repeats a group that varies")
        if most > _OPEN:
            return _Part(loops=1, varies=True, can_fail=least > 0)
        ways = atom.ways * (most - least + 1)
        return _Part(atom.loops, ways, most > least or atom.varies, least > 0 and atom.can_fail)

    def _quantifier(self) -> tuple[int, int]:
        """How often the atom before stands: ``(1, 1)`` where no quantifier follows."""
        signs = {"*": (0, _OPEN + 1), "+": (1, _OPEN + 1), "?": (0, 1)}
        if self._peek() in signs:
            self._at += 1
            return signs[self._pattern[self._at - 1]]
        found = _COUNT.match(self._pattern, self._at)
        if found is None:
            return 1, 1
        self._at = found.end()
        first, comma, second, alone = found.groups()
        if alone:
            return 0, int(alone)
        if not comma:
            return int(first), int(first)
        return int(first), int(second) if second else _OPEN + 1
