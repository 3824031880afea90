"""The format of macOS. C's names have an underscore in front, which is left out."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from tests.packaging.binaries.binary import Binary, machine_name, records, text_at

__all__ = ["read_macho"]

_DYLIB = 6  # filetype
_MACOS = 1  # platform
_SYMBOLS, _SIGNATURE, _BUILD_VERSION = 0x2, 0x1D, 0x32  # cmd
_LIBRARIES = {0xC, 0x80000018, 0x8000001F}  # LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_REEXPORT_DYLIB
_PATHS = {0xD, 0x8000001C}  # LC_ID_DYLIB, LC_RPATH
_TRIES = {0x80000022: 10, 0x80000033: 2}  # LC_DYLD_INFO_ONLY, LC_DYLD_EXPORTS_TRIE: the word
_UNDEFINED = 1  # of an external symbol


def read_macho(data: bytes) -> Binary:
    """Read a library of 64 bits for one CPU.

    Raises:
        ValueError: it is for another machine or system, or is no library.
    """
    cpu, _, kind, count = struct.unpack_from("<IIII", data, 4)
    if kind != _DYLIB:
        raise ValueError(f"is of type {kind}, not a dynamic library")
    binary = Binary("Mach-O", machine_name(cpu, 0x01000007, 0x0100000C))
    at = 32
    for _ in range(count):
        _, size = struct.unpack_from("<II", data, at)
        _obey(data, at, struct.unpack_from(f"<{size // 4}I", data, at), binary)
        at += size
    return binary


def _obey(data: bytes, at: int, words: tuple[int, ...], binary: Binary) -> None:
    """Note what one load command at ``at`` says."""
    command = words[0]
    if command in _LIBRARIES:
        binary.libraries.add(text_at(data, at + words[2]))
    elif command in _PATHS:
        binary.paths.add(text_at(data, at + words[2]))
    elif command == _BUILD_VERSION:
        if words[2] != _MACOS:
            raise ValueError(f"is for platform {words[2]}, not macOS")
        binary.oldest = (words[3] >> 16, words[3] >> 8 & 0xFF)
    elif command == _SYMBOLS:
        _, _, table, symbols, names, _ = words
        for name, kind, _, _, _ in records("<IBBHQ", data[table : table + 16 * symbols]):
            if kind & 0x0F == _UNDEFINED:
                binary.imports.add(text_at(data, names + name).removeprefix("_"))
    elif command in _TRIES:
        start, length = words[_TRIES[command] :][:2]
        names_found = _trie(data[start : start + length]) if length else ()
        binary.exports.update(name.removeprefix("_") for name in names_found)
    elif command == _SIGNATURE:
        binary.signed = _hashes_are_right(data, words[2])


def _trie(trie: bytes, at: int = 0, prefix: str = "") -> Iterator[str]:
    """The names in a tree of letters: each node has what ends there, then its edges."""
    length, at = _number(trie, at)
    if length:
        yield prefix
    at += length
    edges = trie[at]
    at += 1
    for _ in range(edges):
        letters = text_at(trie, at)
        child, at = _number(trie, at + len(letters) + 1)
        yield from _trie(trie, child, prefix + letters)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A ULEB128 number, and where the next thing starts."""
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return number, at + 1
        at, shift = at + 1, shift + 7


def _hashes_are_right(data: bytes, start: int) -> bool:
    """Whether the signature at ``start`` has the SHA-256 of every page in front of it."""
    _, _, blobs = struct.unpack_from(">III", data, start)
    for i in range(blobs):
        _, offset = struct.unpack_from(">II", data, start + 12 + 8 * i)
        directory = start + offset
        if data[directory : directory + 4] != b"\xfa\xde\x0c\x02":  # the code directory
            continue
        hashes, _, _, count, limit = struct.unpack_from(">5I", data, directory + 16)
        size, kind, _, page_bits = struct.unpack_from("4B", data, directory + 36)
        if (size, kind, limit) != (32, 2, start):
            return False
        page = 1 << page_bits
        pages = [data[at : min(at + page, limit)] for at in range(0, limit, page)]
        given = data[directory + hashes :][: size * count]
        return given == b"".join(hashlib.sha256(content).digest() for content in pages)
    return False
