"""The format of Windows. Its parts refer to each other by addresses in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import takewhile

from tests.packaging.binaries.binary import Binary, machine_name, records, text_at

__all__ = ["read_pe"]

_EXPORTS, _IMPORTS, _DELAYED = 0, 1, 13  # directories
_PE64, _DLL = 0x20B, 0x2000


def read_pe(data: bytes) -> Binary:
    """Read a DLL of 64 bits.

    Raises:
        ValueError: it is for another machine, is no DLL, or loads libraries late.
    """
    (header,) = struct.unpack_from("<I", data, 60)
    machine, sections, _, _, _, size, flags = struct.unpack_from("<HHIIIHH", data, header + 4)
    optional = header + 24
    magic = struct.unpack_from("<H", data, optional)[0]
    if data[header : header + 4] != b"PE\0\0" or magic != _PE64 or not flags & _DLL:
        raise ValueError("is not a 64-bit DLL")
    image = _Image(data, optional + size, sections)
    directories = list(records("<II", data[optional + 112 : optional + size]))
    if directories[_DELAYED][0]:
        raise ValueError("loads libraries late, which is not read")
    binary = Binary("PE", machine_name(machine, 0x8664, 0xAA64))
    if directories[_EXPORTS][0]:
        _read_exports(image, directories[_EXPORTS][0], binary)
    if directories[_IMPORTS][0]:
        _read_imports(image, directories[_IMPORTS][0], binary)
    return binary


class _Image:
    """The file as it lies in memory."""

    def __init__(self, data: bytes, table: int, count: int) -> None:
        self._data = data
        self._sections = list(records("<8x4I16x", data[table : table + 40 * count]))

    def at(self, address: int) -> bytes:
        """What is at an address, and all that follows in the file.

        Raises:
            ValueError: nothing is there.
        """
        for length, start, stored, offset in self._sections:
            if start <= address < start + max(length, stored):
                return self._data[address - start + offset :]
        raise ValueError(f"has nothing at {address:#x}")

    def text(self, address: int) -> str:
        return text_at(self.at(address), 0)


def _read_exports(image: _Image, address: int, binary: Binary) -> None:
    _, _, _, name, _, _, count, _, names = struct.unpack_from("<9I", image.at(address))
    binary.paths.add(image.text(name))
    binary.exports.update(map(image.text, struct.unpack_from(f"<{count}I", image.at(names))))


def _read_imports(image: _Image, address: int, binary: Binary) -> None:
    for lookup, _, _, name, first in takewhile(any, records("<5I", image.at(address))):
        binary.libraries.add(image.text(name))
        binary.imports.update(_imported(image, lookup or first))


def _imported(image: _Image, address: int) -> Iterator[str]:
    """The names in one library's list; an entry with the highest bit set is a number."""
    for (entry,) in takewhile(any, records("<Q", image.at(address))):
        if not entry >> 63:
            yield image.text(entry + 2)
