"""From bytes to lines of text, of any encoding and length, in constant memory."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from leanbert.errors import InputError
from leanbert.records.signatures import text_encoding

__all__ = ["MOST_CHARACTERS", "read_lines", "shows_bytes", "undecodable"]

MOST_CHARACTERS = 1 << 27
"""The longest line, and the longest cell of a CSV file; what is longer is no text."""

_BLOCK = 1 << 20  # bytes per read
_END = re.compile(r"\r\n?|\n")
_LINE = re.compile(r"[^\n]*\n")
_LINE_OR_RETURN = re.compile(r"[^\r\n]*(?:\r\n?|\n)")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def undecodable(text: str) -> bool:
    """Whether :func:`read_lines` kept bytes in ``text`` that it could not decode."""
    return not text.isascii() and _ESCAPED_BYTE.search(text) is not None


def shows_bytes(text: str) -> str:
    r"""``text`` with an escape such as ``\xff`` for each byte that could not be decoded."""
    return _ESCAPED_BYTE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)


def read_lines(
    file: BinaryIO, name: str, encoding: str, *, keep_bytes: bool = False
) -> Iterator[str]:
    """Yield each line with its end.

    A line ends with a line feed. If the first line ends with a lone carriage return, as in files
    of old spreadsheets, then a carriage return ends every line; in all other files it is a
    character like any other.

    Args:
        file: read to its end.
        name: what messages call it.
        encoding: of the file; see :func:`text_encoding`. A byte order mark at its beginning is
            left out.
        keep_bytes: whether bytes that cannot be decoded stay in the line, which
            :func:`undecodable` finds out. Only encodings that extend ASCII can do that.

    Raises:
        InputError: bytes are not in this encoding, a line is too long, or it is no file of text.
    """
    number = 0
    try:
        for line in _split(_decoded(file, name, encoding, keep_bytes=keep_bytes), name):
            number += 1
            yield line
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: line {number + 1}: not valid {encoding} ({error.reason}); pass --encoding, "
            "for example --encoding latin-1"
        ) from error
    except UnicodeError as error:  # UTF-16 without its mark
        raise InputError(f"{name}: not in the encoding that --encoding says ({error})") from error


def _decoded(file: BinaryIO, name: str, encoding: str, *, keep_bytes: bool) -> Iterator[str]:
    """The text in blocks; what precedes bytes that cannot be decoded comes before the error."""
    decoder: codecs.IncrementalDecoder | None = None
    read = getattr(file, "read1", file.read)  # of a pipe, what is there already
    first = True
    while True:
        data = read(_BLOCK)
        if decoder is None:
            encoding = text_encoding(data, name, encoding)
            wide = len("\n".encode(encoding)) > 1
            errors = "surrogateescape" if keep_bytes and not wide else "strict"
            decoder = codecs.getincrementaldecoder(encoding)(errors)
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            yield error.object[: error.start].decode(encoding, errors="ignore")
            raise
        if first and text:
            text = text.removeprefix("\ufeff")
        first = first and not text
        yield text
        if not data:
            return


def _split(blocks: Iterable[str], name: str) -> Iterator[str]:
    pattern: re.Pattern[str] | None = None
    pending: list[str] = []  # of a line whose end has not come
    held = ""
    for block in blocks:
        text = held + block
        held = ""
        if text.endswith("\r") and block:  # a line feed may follow
            text, held = text[:-1], "\r"
        if pattern is None and (end := _END.search(text)):
            pattern = _LINE_OR_RETURN if end.group() == "\r" else _LINE
        cut = 0
        if pattern is not None:
            cut = 1 + text.rfind("\n")
            if pattern is _LINE_OR_RETURN:
                cut = max(cut, 1 + text.rfind("\r"))
            for line in pattern.findall(text[:cut]):
                yield "".join((*pending, line)) if pending else line
                pending = []
        if cut < len(text):
            pending.append(text[cut:])
            if sum(map(len, pending)) > MOST_CHARACTERS:
                raise InputError(
                    f"{name}: a line is longer than {MOST_CHARACTERS:,} characters; "
                    "is it a file of text?"
                )
    if pending:
        yield "".join(pending)
