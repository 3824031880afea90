"""Which texts share a batch, in what order batches run, and on which threads."""

from __future__ import annotations

from leanbert.batching.grouping import GROUP, Prepared
from leanbert.batching.runner import MAX_TOKENS, Runner

__all__ = ["GROUP", "MAX_TOKENS", "Prepared", "Runner"]
