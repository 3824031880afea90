"""Ends of tokens inside a word of thousands of characters, whatever stands to their left and right.

Where a text is cut on the left, all that stands before the place is left out, so that it must not
matter. It is looked at a stretch of some hundred characters of which neither the first nor the last
token is known:

- **BPE**: a row of tokens is what BPE makes of their text if, and only if, that holds for every two
  neighbours. So all rows of tokens are followed through the stretch of which each two neighbours
  hold, from any beginning to any end. One of them is the true one. A place that no token of any
  such row reaches over is the end of a token.
- **Unigram** takes the path with the highest sum of scores. A place is the end of a token if that
  holds for the best path from each of the possible first places to each of the possible last ones.
  The library adds the scores up from the beginning of the word, which rounds differently for what
  is left of it, so that a path counts as best only if no rounding could favour another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from tokenizers import models, pre_tokenizers

__all__ = ["Border", "Borders", "BpeBorders", "UnigramBorders"]

_ROUNDING = 2.0**-52  # of one addition of floats, as a share of the sum
_NEAR = 1e-3  # paths whose scores differ by less are told apart with care
_CANDIDATES = 16  # places of a stretch that are tried


class Border(NamedTuple):
    """A place inside a text that is the end of a token, and the stretch that proves it."""

    start: int
    """Where the stretch begins."""
    place: int
    """The end of a token."""
    end: int
    """Where the stretch ends."""


class Borders(Protocol):
    """What one kind of model can say about the tokens of a part of a word."""

    stretch: int
    """Characters that a part should have in which a border is looked for."""
    counts: bool
    """Whether tokens between two borders are the text's, however far apart the two stand."""

    def border(self, part: str, characters: int) -> int | None:
        """The end of a token inside a normalized part of a word of so many characters."""

    def is_certain(self, part: str, characters: int) -> bool:
        """Whether the tokens of the end of a word can be read without what stands before it."""


class BpeBorders:
    """Byte-level BPE.

    Args:
        model: one that does nothing but merge.
        longest: characters of its longest token.
    """

    def __init__(self, model: models.BPE, longest: int) -> None:
        self._model = model
        self._longest = longest
        self.stretch = 2 * longest + 192
        self.counts = True
        self._bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._holds = cache(self._pair)
        self._is_token = cache(lambda text: self._tokens(text) == [text])

    def border(self, part: str, characters: int) -> int | None:
        """See :class:`Borders`."""
        del characters  # exact, however long the word is
        [(text, _)] = self._bytes.pre_tokenize_str(part)
        size, longest = len(text), self._longest
        rows = self._rows(text)
        reached = bytearray(size + 1)  # places that a row of tokens could reach over
        for start, ends in enumerate(rows):
            for end in ends:
                reached[start + 1 : end] = b"\1" * (end - start - 1)
        at = 0
        for place, character in enumerate(part):
            if longest <= at <= size - longest and not reached[at]:
                return place
            at += len(character.encode())
        return None

    def is_certain(self, part: str, characters: int) -> bool:
        """See :class:`Borders`; the last tokens follow from a border alone."""
        del part, characters
        return True

    def _rows(self, text: str) -> list[set[int]]:
        """By its start the ends of each token that is part of a row from one end to the other."""
        size, longest = len(text), self._longest
        ends: list[set[int]] = [set() for _ in range(size + 1)]
        before: dict[tuple[int, int], list[tuple[int, int]]] = {}
        starts: list[list[int]] = [[] for _ in range(size + 1)]  # of the tokens that end there
        for start in range(size):
            for end in range(start + 1, min(start + longest, size) + 1):
                token = text[start:end]
                if self._model.token_to_id(token) is None or not self._is_token(token):
                    continue
                earlier = [
                    (other, start)
                    for other in starts[start]
                    if self._holds(text[other:start], token)
                ]
                if earlier or start < longest:
                    before[start, end] = earlier
                    starts[end].append(start)
        alive = {span for span in before if span[1] > size - longest}
        waiting = list(alive)
        while waiting:
            last = waiting.pop()
            ends[last[0]].add(last[1])
            for span in before[last]:
                if span not in alive:
                    alive.add(span)
                    waiting.append(span)
        return ends

    def _pair(self, first: str, second: str) -> bool:
        return self._tokens(first + second) == [first, second]

    def _tokens(self, text: str) -> list[str]:
        return [token.value for token in self._model.tokenize(text)]


class UnigramBorders:
    """SentencePiece's Unigram.

    Args:
        model: without bytes for unknown characters.
        longest: characters of its longest token.
    """

    def __init__(self, model: models.Unigram, longest: int) -> None:
        state: Mapping[str, Any] = json.loads(model.__getstate__())
        self._scores: dict[str, float] = dict(state["vocab"])
        self._longest = longest
        self._largest = max(map(abs, self._scores.values()), default=0.0)
        self.stretch = 4 * longest + 128
        self.counts = False

    def border(self, part: str, characters: int) -> int | None:
        """See :class:`Borders`."""
        steps = self._steps(part)
        if steps is None:
            return None
        size, longest = len(part), self._longest
        margin = 4 * size * self._rounding(characters)
        firsts, lasts = range(longest), range(size - longest + 1, size + 1)
        path = _path_to(_best(steps, 0), steps, size)
        middle = [place for place in path if longest <= place <= size - 2 * longest]
        middle.sort(key=lambda place: abs(2 * place - size))
        from_first = [_best(steps, first) for first in firsts]
        for place in middle[:_CANDIDATES]:
            near = range(place, place + longest + 1)
            to_last = {start: _best(steps, start) for start in near}
            crossing = [
                (start, end, score)
                for end in near[1:]
                for start, score in steps[end]
                if start < place
            ]
            if all(
                best[place] + to_last[place][last] - margin
                > max(
                    (best[start] + score + to_last[end][last] for start, end, score in crossing),
                    default=-float("inf"),
                )
                for best in from_first
                for last in lasts
            ):
                return place
        return None

    def is_certain(self, part: str, characters: int) -> bool:
        """See :class:`Borders`; ``part`` begins at a border and ends where its word ends."""
        steps = self._steps(part)
        if steps is None:
            return False
        size, unit = len(part), self._rounding(characters)
        near = max(_NEAR, 4 * size * unit)
        best = _best(steps, 0)
        path = _path_to(best, steps, size)
        main, previous = set(path), dict(zip(path[1:], path, strict=False))
        # Where the paths that are nearly the best ones to a place left the best path to the end.
        left = list(range(size + 1))
        for place in range(1, size + 1):
            sources = [
                (start if start in main else left[start], best[start] + score, start)
                for start, score in steps[place]
            ]
            if place not in main:
                close = [since for since, score, _ in sources if score >= best[place] - near]
                left[place] = min(close, default=0)
                continue
            for since, score, start in sources:
                is_near = best[place] - score <= 4 * (place - since) * unit
                if is_near and start != previous[place]:
                    return False
        return True

    def _rounding(self, characters: int) -> float:
        """What one addition of scores may lose in a word of so many characters."""
        return _ROUNDING * (self._largest + 10) * characters

    def _steps(self, part: str) -> list[list[tuple[int, float]]] | None:
        """By their ends the tokens of a text, as start and score; ``None``: unknown characters."""
        scores, longest = self._scores, self._longest
        if not all(map(scores.__contains__, set(part))):
            return None
        return [
            [
                (start, scores[part[start:end]])
                for start in range(max(0, end - longest), end)
                if part[start:end] in scores
            ]
            for end in range(len(part) + 1)
        ]


def _best(steps: Sequence[Sequence[tuple[int, float]]], first: int) -> list[float]:
    """The highest sum of scores from one place to each; minus infinity for those before it."""
    best = [-float("inf")] * len(steps)
    best[first] = 0.0
    for end in range(first + 1, len(steps)):
        best[end] = max(
            (best[start] + score for start, score in steps[end] if start >= first),
            default=-float("inf"),
        )
    return best


def _path_to(
    best: Sequence[float], steps: Sequence[Sequence[tuple[int, float]]], end: int
) -> list[int]:
    """The places of the best path from the first place to ``end``, in order."""
    path = [end]
    while path[-1] > 0:
        at = path[-1]
        path.append(max(steps[at], key=lambda step: best[step[0]] + step[1])[0])
    return path[::-1]
