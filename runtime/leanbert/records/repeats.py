"""Column names that never collide: those that a file repeats, and those of new columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from leanbert.errors import warn

__all__ = ["distinct_columns", "distinct_names"]


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


def distinct_names(
    wanted: Iterable[str], taken: Iterable[str], prefix: str = "predicted_"
) -> list[str]:
    """Names for new columns: those that are wanted, with ``prefix`` where they are taken.

    If that is taken, too, a number follows: ``predicted_label.2``.
    """
    used = set(taken)
    names = []
    for name in wanted:
        chosen = next(option for option in _options(name, prefix) if option not in used)
        used.add(chosen)
        names.append(chosen)
    return names


def _options(name: str, prefix: str) -> Iterator[str]:
    yield name
    yield f"{prefix}{name}"
    yield from (f"{prefix}{name}.{number}" for number in count(2))
