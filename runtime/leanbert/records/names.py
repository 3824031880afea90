"""What a file's name says: its format, and how it is compressed."""

from __future__ import annotations

from pathlib import PurePath

from leanbert.shown import listed

__all__ = ["COMPRESSED", "FORMATS", "SUFFIXES", "endings_of", "format_of", "known_endings"]

SUFFIXES = {
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
"""The format of a file by the end of its name, in lower case."""

FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
"""The formats that can be read."""

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
"""How a file is compressed, by a further end of its name."""


def endings_of(path: PurePath) -> tuple[str, str]:
    """The ending that says the format and the one that says the compression, in lower case.

    Either may be empty: ``news.csv.gz`` has ``(".csv", ".gz")``, ``news.gz`` has ``("", ".gz")``.
    """
    last = path.suffix.lower()
    if last in COMPRESSED:
        return PurePath(path.stem).suffix.lower(), last
    return last, ""


def format_of(path: PurePath) -> str | None:
    """One of :data:`FORMATS`, or ``None`` where the name says none."""
    return SUFFIXES.get(endings_of(path)[0])


def known_endings() -> str:
    """The endings of files that can be read, as a sentence lists them."""
    return f"{listed(list(SUFFIXES))}, each also with {listed(list(COMPRESSED))}"
