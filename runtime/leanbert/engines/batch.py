"""The one form in which token ids travel: the real tokens of some texts, laid end to end.

No padding anywhere: an engine that needs a rectangle makes it for itself
(:mod:`leanbert.engines.padding`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Batch", "Ints"]

Ints: TypeAlias = "npt.NDArray[np.int32]"

_INT32 = np.dtype(np.int32)


@dataclass(frozen=True, eq=False)
class Batch:
    """The token ids of some texts, without padding.

    *Shape:* ``input_ids`` and ``token_type_ids`` ``(tokens,)``, ``lengths`` ``(texts,)``; the
    lengths sum to ``tokens``.

    Raises:
        TypeError: an array is not contiguous, not of one axis, or not int32.
        ValueError: the two arrays of tokens differ in size.
    """

    input_ids: Ints
    """The ids of the first text, special tokens included, then those of the second, and so on."""
    token_type_ids: Ints
    """Of each token, 0 for a text and 1 for its pair, where the tokenizer tells them apart."""
    lengths: Ints
    """How many tokens each text has."""

    def __post_init__(self) -> None:
        ids, types, lengths = self.input_ids, self.token_type_ids, self.lengths
        if not (
            ids.dtype == types.dtype == lengths.dtype == _INT32
            and ids.ndim == types.ndim == lengths.ndim == 1
            and ids.flags.c_contiguous
            and types.flags.c_contiguous
            and lengths.flags.c_contiguous
        ):
            raise TypeError(
                "a batch holds contiguous int32 arrays of one axis, got "
                + ", ".join(f"{array.dtype} {array.shape}" for array in (ids, types, lengths))
            )
        if len(ids) != len(types):
            raise ValueError(f"{len(ids)} token ids, but {len(types)} token type ids")

    @classmethod
    def of(
        cls, ids: Sequence[Sequence[int]], type_ids: Sequence[Sequence[int]] | None = None
    ) -> Batch:
        """A batch of the given rows of ids, each row one text; types are 0 where none are given."""
        lengths = np.array([len(row) for row in ids], dtype=np.int32)
        input_ids = np.array([i for row in ids for i in row], dtype=np.int32)
        if type_ids is None:
            types = np.zeros_like(input_ids)
        else:
            types = np.array([i for row in type_ids for i in row], dtype=np.int32)
        return Batch(input_ids, types, lengths)

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.lengths)

    @cached_property
    def starts(self) -> list[int]:
        """Where the tokens of each text begin, and last the number of all tokens."""
        starts: list[int] = [0, *self._ends.tolist()]
        return starts

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum(self.lengths, dtype=np.int64)

    def place(self, i: int) -> slice:
        """Where the tokens of text ``i`` stand in every array that has one row per token."""
        return slice(self.starts[i], self.starts[i + 1])

    def split(self, values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The part of each text, as views, of an array that has one row per token.

        *Shape:* ``(tokens, …)`` -> for each text ``(its tokens, …)``.
        """
        return [values[self.place(i)] for i in range(len(self.lengths))]

    def part(self, start: int, stop: int) -> Batch:
        """The batch of the texts from ``start`` to before ``stop``, as views."""
        tokens = slice(self.starts[start], self.starts[stop])
        return Batch(self.input_ids[tokens], self.token_type_ids[tokens], self.lengths[start:stop])

    def take(self, indices: Sequence[int]) -> Batch:
        """The batch of the texts ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[chosen]
        # Token t of the new batch is t - (where its text ends there) + (where it ends here).
        shifts = np.repeat(self._ends[chosen] - np.cumsum(lengths, dtype=np.int64), lengths)
        tokens = shifts + np.arange(len(shifts))
        return Batch(self.input_ids[tokens], self.token_type_ids[tokens], lengths)
