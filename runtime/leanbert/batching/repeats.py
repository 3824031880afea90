"""Rows of the same token ids, of which one is computed for all.

That is exact: an answer depends on no other text of its batch. News are repeated by several
agencies, and a document's windows or a question's candidates repeat within one call.
"""

from __future__ import annotations

from collections.abc import Sequence

from leanbert.engines.batch import Batch

__all__ = ["first_rows"]


def first_rows(batch: Batch) -> Sequence[int] | None:
    """For each row the number of the first row with the same ids and token types.

    Returns:
        ``None`` if no row repeats another.
    """
    size = batch.input_ids.itemsize
    parts = [batch.input_ids.tobytes()]
    if batch.token_type_ids.any():
        parts.append(batch.token_type_ids.tobytes())
    ends = [size * start for start in batch.starts]
    first: dict[tuple[bytes, ...], int] = {}
    found = [
        first.setdefault(tuple(part[ends[i] : ends[i + 1]] for part in parts), i)
        for i in range(len(batch))
    ]
    return found if len(first) < len(found) else None
