"""What is read and how: rows with their place, tables, and the options of all readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from leanbert.errors import InputError
from leanbert.records.names import FORMATS
from leanbert.shown import listed

__all__ = ["ReadOptions", "Row", "Table", "described"]

_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}


@dataclass(frozen=True)
class ReadOptions:
    """How files are read; the same for all of a command's files.

    Raises:
        InputError: there is no such format or encoding, or the delimiter cannot be one.
    """

    format: str | None = None
    """One of :data:`leanbert.records.FORMATS`; ``None`` goes by the file's name."""
    encoding: str = "utf-8"
    """Any text encoding that Python knows. A file that begins with the mark of UTF-16 or UTF-32 is
    read in that encoding where this is UTF-8. Parquet and Arrow files say their own."""
    delimiter: str | None = None
    """What stands between cells: one character, or ``"tab"``, ``"comma"``, ``"semicolon"``,
    ``"space"``. ``None``: a tab in ``.tsv``; in ``.csv`` whichever of comma, tab and semicolon
    gives the header most columns; none in ``.txt``."""
    quotes: bool = True
    """Whether ``"`` may enclose a cell of CSV and TSV. Without it quotes are plain characters."""
    whole: bool = False
    """Whether a ``.txt`` file without a delimiter is one text, and not one per line."""
    bad_rows: bool = False
    """Whether a row that cannot be read is given with its :attr:`Row.problem`, and not raised."""

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"the format {self.format!r} is unknown; use {listed(FORMATS)}")
        try:
            "".encode(self.encoding)  # refuses names of codecs that are not for text
        except (LookupError, UnicodeError) as error:
            raise InputError(
                f"--encoding {self.encoding}: Python knows no such text encoding"
            ) from error
        if self.delimiter is not None:
            found = _DELIMITERS.get(self.delimiter, self.delimiter)
            if len(found) != 1 or found in '\r\n"':
                raise InputError(
                    f"--delimiter {self.delimiter!r}: expected one character, or "
                    f"{listed([name for name in _DELIMITERS if name.isalpha()])}"
                )
            object.__setattr__(self, "delimiter", found)


@dataclass(frozen=True)
class Row:
    """One record: its values by column, and where it stands."""

    values: dict[str, Any] = field(default_factory=dict)
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


@dataclass
class Table:
    """An opened file."""

    name: str
    """As messages call it."""
    format: str
    """One of :data:`leanbert.records.FORMATS`."""
    rows: Iterator[Row]
    """Lazily, once."""
    columns: tuple[str, ...] | None = None
    """The columns that the file declares; ``None`` where each row names its own (``jsonl``)."""
    schema: Any = None
    """The Arrow schema of a Parquet or Arrow file."""
    count: int | None = None
    """The number of rows, where the file says it beforehand."""

    @property
    def lines(self) -> bool:
        """Whether its rows are bare lines, whose only column is called ``"text"``."""
        return self.format == "txt" and self.columns == ("text",)

    def require(self, column: str, flag: str) -> None:
        """Check that the file declares ``column``, which ``flag`` chose.

        Raises:
            InputError: it declares its columns, and not this one.
        """
        if self.columns is None or column in self.columns:
            return
        if self.lines:
            raise InputError(
                f"{self.name}: a .txt file has no column {column!r}; for lines such as text@label "
                "pass --delimiter @"
            )
        has = listed(list(map(repr, self.columns)), "and") or "none"
        raise InputError(f"{self.name}: no column {column!r}; it has {has} (pass {flag})")


def described(value: object) -> str:
    """A value that is no text, in the words of messages: ``"the number 5"``, ``"a list"``."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Real):
        return f"the number {value}"
    return f"a {type(value).__name__}"
