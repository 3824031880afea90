"""Columns that share a name, told apart."""

from __future__ import annotations

from collections.abc import Sequence

from leanbert.errors import warn

__all__ = ["distinct_columns"]


def distinct_columns(header: Sequence[str], name: str) -> tuple[str, ...]:
    """The names of columns; of those that share one the first keeps it.

    The others get a number, and a warning says so.

    Args:
        header: the names as the file has them.
        name: what messages call the file.
    """
    columns: list[str] = []
    taken, given = set(), set(header)
    for column in header:
        distinct, number = column, 2
        while distinct in taken or (distinct != column and distinct in given):
            distinct, number = f"{column}.{number}", number + 1
        if distinct != column:
            warn(
                f"{name}: several columns are named {column!r}; a later one is read as {distinct!r}"
            )
        columns.append(distinct)
        taken.add(distinct)
    return tuple(columns)
