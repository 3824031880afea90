"""How much memory the native engine takes for a batch: an upper bound, in a few numbers.

It follows ``workspace.cpp``, which cuts the working memory of a call, and takes the largest where
that distinguishes.
"""

from __future__ import annotations

from leanbert.engines.batch import Batch
from leanbert.engines.native.layout import Layout

__all__ = ["Needs"]

_PAD = 16  # floats after each row
_ROW = 2  # bytes of a quantized activation, at most
_OF_ROW = 72  # bytes of a quantized row beside its activations
_ALONE = 128  # tokens of a group that one thread computes
_CHUNK = 28  # rows of the wide layer that a thread computes at once
_HEAD = 16  # rows of logits that a thread computes at once
_CACHED = 256 << 10  # bytes of the queries, keys and values of a block of heads
_QUERIES = 16  # rows of scores, at most
_HUGE = 4 << 20  # a region is rounded up to huge pages, and aligned to them
_LISTS = 64  # bytes of the lists per text


class Needs:
    """The memory of a model's batches.

    Args:
        layout: of the model.
        threads: that compute one batch.
    """

    def __init__(self, layout: Layout, threads: int) -> None:
        sizes = layout.sizes
        hidden, wide = sizes["hidden_size"], sizes["intermediate_size"]
        widest = max(hidden, sizes["embedding_size"])
        self._threads = threads
        self._head = hidden // max(1, sizes["num_attention_heads"])
        # x, what is normed before, the context, and the two quantized
        self._per_token = 4 * (2 * (hidden + _PAD) + widest + _PAD)
        self._per_token += _ROW * (hidden + widest) + 2 * _OF_ROW
        self._three = 4 * (3 * hidden + _PAD)
        rows = _CHUNK + 7 * threads
        self._fixed = rows * (4 * (wide + _PAD) + _ROW * wide + _OF_ROW)
        self._width = layout.num_labels or hidden
        self._fixed += 4 * _HEAD * (layout.num_labels + _PAD)
        self._per_text = layout.head in ("first_token", "mean")
        self._rows = layout.relative_rows

    def bytes_of(self, batch: Batch) -> int:
        """An upper bound of what a batch takes beside the model, its outputs counted twice."""
        tokens, texts = len(batch.input_ids), len(batch)
        longest = int(batch.lengths.max(initial=0))
        alone = min(tokens, max(longest, _ALONE))
        shared = (tokens + self._threads * alone) * self._per_token
        three = min(tokens * self._three, max(_CACHED, tokens * 4 * (6 * self._head + _PAD)))
        padded = longest + 32
        attention = 4 * padded * (2 * (self._head + 16) + _QUERIES) + 4 * 64 * (self._head + 16)
        if self._rows:
            attention += 4 * (_QUERIES * (self._rows + 32) + 2 * _QUERIES * padded)
        out = 8 * self._width * (texts if self._per_text else tokens)
        own = self._threads * (three + attention + self._fixed)
        return shared + own + out + _HUGE + texts * _LISTS + 16 * tokens
