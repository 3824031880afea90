"""Inputs in groups, whose rows are ordered together: how many of them are drawn and held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from leanbert.batching.live import live_groups
from leanbert.batching.order import chunks
from leanbert.tokenization.encodings import Encodings, join

__all__ = ["CHUNK", "FIRST", "GROUP", "GROUP_TOKENS", "Most", "Prepared", "groups"]

T = TypeVar("T")
E = TypeVar("E", bound=Encodings)

GROUP = 2048
"""Inputs that are ordered together: enough to batch like with like, little enough to stream."""

FIRST = 512
"""Inputs of the first group where the next ones are tokenized while it is computed: until it is
tokenized, nothing is computed."""

GROUP_TOKENS = 1 << 18
"""Tokens that are ordered together where one input may be many rows, documents for example."""

CHUNK = 64
"""Inputs that are prepared between two looks at their tokens."""

_OF_INPUT = 1024  # bytes that an input and its answer take beside text, tokens and kept rows
_OF_TOKEN = 64  # bytes of a token in all arrays of windows, and while they are put together
_OF_CHARACTER = 4  # bytes, at most


@dataclass(frozen=True)
class Prepared(Generic[T, E]):
    """Some inputs, checked and tokenized."""

    items: Sequence[T]
    """The inputs as the task's ``postprocess`` wants them back."""
    encodings: E
    """The rows of the first input, then those of the second, and so on."""
    counts: Sequence[int] | None = None
    """How many rows each input has; ``None`` where each has one."""


@dataclass(frozen=True)
class Most:
    """The bounds of a group; the input that reaches one is its last."""

    inputs: int
    tokens: int
    characters: int = 0
    weigh: Callable[[object], int] | None = None
    """Gives the characters of an input; ``None`` where nothing bounds them."""

    @classmethod
    def of(cls, inputs: int, held: int | None, weights: tuple[int, int]) -> Most:
        """The bounds of a group.

        Args:
            inputs: that the task wants at most.
            held: bytes that a group may take; ``None`` for no bound.
            weights: bytes that are kept of a row, and of each of its tokens.
        """
        if held is None:
            return cls(inputs, GROUP_TOKENS)
        from leanbert.engines.ceiling import characters_of  # late: few calls have a ceiling

        of_row, of_token = weights
        return cls(
            max(1, min(inputs, held // 3 // (_OF_INPUT + of_row))),
            max(1, min(GROUP_TOKENS, held // 3 // (_OF_TOKEN + of_token))),
            max(1, held // 3 // _OF_CHARACTER),
            characters_of,
        )


def groups(
    inputs: Iterable[object],
    preprocess: Callable[[Sequence[object], int], Prepared[T, E]],
    most: Most,
    max_wait_ms: float | None,
    first: int = GROUP,
) -> Iterator[Prepared[T, E]]:
    """The inputs in groups, prepared; see :meth:`leanbert.batching.Runner.map`.

    The first group has at most ``first`` inputs.
    """
    start = held = tokens = characters = 0
    bound = min(first, most.inputs)
    parts: list[Prepared[T, E]] = []
    for chunk, complete in _drawn(inputs, most, max_wait_ms):
        part = preprocess(chunk, start)
        start += len(chunk)
        held += len(chunk)
        tokens += len(part.encodings.input_ids)
        parts.append(part)
        if most.weigh is not None:
            characters += sum(map(most.weigh, chunk))
            complete |= characters >= most.characters
        if complete or held >= bound or tokens >= most.tokens:
            yield _joined(parts)
            bound = most.inputs
            parts, held, tokens, characters = [], 0, 0, 0
    if parts:
        yield _joined(parts)


def _drawn(
    inputs: Iterable[object], most: Most, max_wait_ms: float | None
) -> Iterator[tuple[list[object], bool]]:
    """Some inputs, and whether a live feed's group ends with them."""
    size = min(CHUNK, most.inputs)
    if max_wait_ms is None:
        drawn = chunks(inputs, size) if most.weigh is None else _light(inputs, size, most)
        yield from ((chunk, False) for chunk in drawn)
        return
    seconds = max_wait_ms / 1000
    for group in live_groups(inputs, most.inputs, seconds, most.weigh, most.characters):
        for at in range(0, len(group), size):
            yield group[at : at + size], at + size >= len(group)


def _light(inputs: Iterable[object], size: int, most: Most) -> Iterator[list[object]]:
    """Consecutive lists of at most ``size`` inputs, each as short as the characters' bound asks."""
    chunk: list[object] = []
    characters = 0
    for item in inputs:
        chunk.append(item)
        characters += 0 if most.weigh is None else most.weigh(item)
        if len(chunk) == size or characters >= most.characters:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _joined(parts: Sequence[Prepared[T, E]]) -> Prepared[T, E]:
    if len(parts) == 1:
        return parts[0]
    counts = [
        count
        for part in parts
        for count in (part.counts if part.counts is not None else [1] * len(part.items))
    ]
    return Prepared(
        list(chain.from_iterable(part.items for part in parts)),
        join([part.encodings for part in parts]),
        counts,
    )
