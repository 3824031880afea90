"""What a shared library is made for: its format, what it imports, what it exports.

Reads 64-bit ELF, Mach-O and PE files for x86-64 and 64-bit ARM, as far as a test asks.
"""

from __future__ import annotations

from tests.packaging.binaries.binary import Binary
from tests.packaging.binaries.elf import read_elf
from tests.packaging.binaries.macho import read_macho
from tests.packaging.binaries.pe import read_pe

__all__ = ["Binary", "read_binary"]


def read_binary(data: bytes) -> Binary:
    """Read a shared library.

    Raises:
        ValueError: it is of another format or for another machine, or is no shared library.
    """
    if data[:6] == b"\x7fELF\x02\x01":
        return read_elf(data)
    if data[:4] == b"\xcf\xfa\xed\xfe":
        return read_macho(data)
    if data[:2] == b"MZ":
        return read_pe(data)
    raise ValueError(f"starts with {data[:4]!r}: no 64-bit ELF, Mach-O or PE file")
