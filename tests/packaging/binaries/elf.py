"""Linux's format. What is looked at is told by the section headers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.packaging.binaries.binary import Binary, machine_name, records, text_at

__all__ = ["read_elf"]

_SHARED = 3  # e_type
_DYNAMIC, _DYNAMIC_SYMBOLS, _NEEDED_VERSIONS = 6, 11, 0x6FFFFFFE  # sh_type
_NEEDED, _SONAME, _RPATH, _RUNPATH = 1, 14, 15, 29  # d_tag


def read_elf(data: bytes) -> Binary:
    """Read a library of 64 bits, the lowest byte first.

    Raises:
        ValueError: it is for another machine, or is no library.
    """
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind != _SHARED:
        raise ValueError(f"is of type {kind}, not a shared library")
    binary = Binary("ELF", machine_name(machine, 0x3E, 0xB7))
    entries, names = _section(data, _DYNAMIC)
    for tag, value in records("<qQ", entries):
        if tag == _NEEDED:
            binary.libraries.add(text_at(names, value))
        elif tag in (_SONAME, _RPATH, _RUNPATH):
            binary.paths.add(text_at(names, value))
    symbols, names = _section(data, _DYNAMIC_SYMBOLS)
    for name, info, _, section, _, _ in records("<IBBHQQ", symbols):
        if info >> 4:  # not local
            (binary.exports if section else binary.imports).add(text_at(names, name))
    binary.oldest = max(_glibc_versions(*_section(data, _NEEDED_VERSIONS)), default=())
    return binary


def _section(data: bytes, wanted: int) -> tuple[bytes, bytes]:
    """The content of the only section of a type, and the strings that it refers to."""
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    headers = [struct.unpack_from("<IIQQQQI", data, table + i * size) for i in range(count)]
    for _, kind, _, _, offset, length, link in headers:
        if kind == wanted:
            _, _, _, _, names, names_length, _ = headers[link]
            return data[offset : offset + length], data[names : names + names_length]
    return b"", b""


def _glibc_versions(needs: bytes, names: bytes) -> Iterator[tuple[int, ...]]:
    """Each version of glibc that a symbol asks for: a list per library, linked by distances."""
    at = 0
    while needs:
        _, count, _, first, following = struct.unpack_from("<HHIII", needs, at)
        version = at + first
        for _ in range(count):
            _, _, _, name, step = struct.unpack_from("<IHHII", needs, version)
            prefix, _, number = text_at(names, name).partition("_")
            if prefix == "GLIBC":
                yield tuple(map(int, number.split(".")))
            version += step
        if not following:
            return
        at += following
