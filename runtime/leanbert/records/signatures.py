"""What the first bytes of a file give away: its encoding, or that it is no text at all."""

from __future__ import annotations

import codecs

from leanbert.errors import InputError

__all__ = ["text_encoding"]

_KINDS = {
    b"\x1f\x8b": "is compressed with gzip; its name should end in .gz, or decompress it: gunzip",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; its name should end in .zst, or decompress it: "
    "unzstd",
    b"\xfd7zXZ": "is compressed with xz; decompress it first: unxz",
    b"BZh": "is compressed with bzip2; decompress it first: bunzip2",
    b"PK\x03\x04": "is a ZIP archive or an Excel workbook; save its table as CSV",
    b"PAR1": "is a Parquet file; its name should end in .parquet",
    b"ARROW1": "is an Arrow file; its name should end in .arrow",
    b"%PDF-": "is a PDF; save its text",
}
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Those of UTF-32 first: one of them begins as UTF-16's does."""


def text_encoding(data: bytes, name: str, encoding: str) -> str:
    """The encoding of a file that begins with ``data``.

    Args:
        data: the first bytes.
        name: what messages call the file.
        encoding: the one that is asked for. If it is UTF-8, the mark of UTF-16 or UTF-32 decides:
            such bytes are never UTF-8.

    Raises:
        InputError: it is another kind of file, or its mark contradicts ``encoding``.
    """
    for mark, said in _KINDS.items():
        if data.startswith(mark):
            raise InputError(f"{name}: {said}")
    if len("\n".encode(encoding)) > 1:  # one of those below was asked for
        return encoding
    for mark, found in _MARKS.items():
        if data.startswith(mark):
            if codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}:
                return found
            raise InputError(f"{name}: begins as {found.upper()} does; pass --encoding {found}")
    if data[1:2] == data[3:4] == b"\0" != data[:1]:
        raise InputError(f"{name}: looks like UTF-16 without its mark; pass --encoding utf-16-le")
    return encoding
