"""One record, and how messages describe what is not a text."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

from leanbert.errors import InputError
from leanbert.shown import listed

__all__ = ["Row", "described"]


class Row(NamedTuple):
    """One record: its values by column, and where it stands."""

    values: dict[str, Any]
    where: str = "the row"
    """For messages, for example ``"news.csv: line 7"``."""
    problem: str | None = None
    """Why the row cannot be read, in a clause; ``None`` where it was."""
    raw: str = ""
    """Of a row with a problem: what the file holds in its place."""

    def check(self) -> None:
        """Check that the row was read.

        Raises:
            InputError: it has a problem.
        """
        if self.problem is not None:
            raise InputError(f"{self.where}: {self.problem}")

    def text(self, column: str, flag: str = "--text-column") -> str:
        """The text in ``column``, which ``flag`` chose.

        Raises:
            InputError: the row has a problem, or no such column, or its value is not a text.
        """
        self.check()
        value = self.values.get(column)
        if isinstance(value, str):
            return value
        if column in self.values:
            raise InputError(f"{self.where}: {column!r} holds {described(value)}, not a text")
        raise InputError(
            f"{self.where}: no column {column!r}; it has "
            f"{listed(list(map(repr, self.values)), 'and') or 'no columns'} (pass {flag})"
        )


def described(value: object) -> str:
    """A value that is no text, in the words of messages: ``"the number 5"``, ``"a list"``."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Real):
        return f"the number {value}"
    return f"a {type(value).__name__}"
