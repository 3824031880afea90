"""Copies of a tokenizer that cut otherwise."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tokenizers

__all__ = ["Copies", "Cut"]


class Cut(NamedTuple):
    """How long texts are cut; see :meth:`leanbert.tokenization.Tokenizer.cut_to`."""

    max_length: int
    stride: int
    strategy: str
    side: str


class Copies:
    """The copies of one tokenizer that were used last."""

    most = 4
    """How many are kept."""

    def __init__(self) -> None:
        self._kept: dict[Cut, tokenizers.Tokenizer] = {}
        self._lock = threading.Lock()

    def get(self, base: tokenizers.Tokenizer, cut: Cut) -> tokenizers.Tokenizer:
        """The copy of ``base`` that cuts so."""
        with self._lock:
            copy = self._kept.pop(cut, None)
            if copy is None:
                copy = type(base).from_str(base.to_str())
                copy.encode_special_tokens = base.encode_special_tokens
                copy.enable_truncation(
                    cut.max_length, stride=cut.stride, strategy=cut.strategy, direction=cut.side
                )
            self._kept[cut] = copy  # the last used stands last
            while len(self._kept) > self.most:
                del self._kept[next(iter(self._kept))]
        return copy
