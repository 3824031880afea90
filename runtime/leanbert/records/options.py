"""How files are read: the options of all readers."""

from __future__ import annotations

from dataclasses import dataclass

from leanbert.errors import InputError
from leanbert.records.names import FORMATS
from leanbert.shown import listed

__all__ = ["ReadOptions"]

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
