"""The readers of shared libraries, on files that are written here byte by byte."""

from __future__ import annotations

import hashlib
import struct
import sys

import numpy as np
import pytest

from tests.packaging.binaries import read_binary


def padded(data: bytes, multiple: int = 8) -> bytes:
    return data + bytes(-len(data) % multiple)


def command(kind: int, body: bytes) -> bytes:
    """A load command of Mach-O."""
    body = padded(body)
    return struct.pack("<II", kind, 8 + len(body)) + body


def named(kind: int, name: str) -> bytes:
    """One that names a library: where the name is, then time and versions."""
    return command(kind, struct.pack("<IIII", 24, 2, 0, 0) + name.encode() + b"\0")


def dylib(cpu: int = 0x0100000C, platform: int = 1, flip: int = -1) -> bytes:
    """A library of macOS: two exports with a common start, one import, and a signature."""
    # Root: no symbol here, one edge "_lb_"; behind it two edges to nodes with an address each.
    trie = b"\0\x01_lb_\0\x08" + b"\0\x02run\0\x14isa\0\x18" + b"\x02\0\x10\0" + b"\x02\0\x20\0"
    assert trie[8:10] == b"\0\x02"
    names = b"\0_free\0_lb_run\0"
    symbols = struct.pack("<IBBHQ", 1, 0x01, 0, 0, 0) + struct.pack("<IBBHQ", 7, 0x0F, 1, 0, 16)
    at = 0x200
    table, strings, exports = at, at + len(symbols), at + len(symbols) + len(names)
    limit = 0x300
    commands = [
        named(0xD, "@rpath/libx.dylib"),
        named(0xC, "/usr/lib/libSystem.B.dylib"),
        command(0x32, struct.pack("<IIII", platform, 11 << 16 | 2 << 8, 15 << 16, 0)),
        command(0x2, struct.pack("<IIII", table, 2, strings, len(names))),
        command(0x80000033, struct.pack("<II", exports, len(trie))),
        command(0x1D, struct.pack("<II", limit, 0x100)),
    ]
    header = struct.pack("<IIIIIIII", 0xFEEDFACF, cpu, 0, 6, len(commands), 0, 0, 0)
    code = (header + b"".join(commands)).ljust(at, b"\0") + symbols + names + trie
    code = code.ljust(limit, b"\0")
    pages = [code[:256], code[256:512], code[512:]]
    hashes = b"".join(hashlib.sha256(page).digest() for page in pages)
    directory = struct.pack(">9I", 0xFADE0C02, 44 + len(hashes), 0x20400, 2, 44, 0, 0, 3, limit)
    directory += struct.pack("4BI", 32, 2, 0, 8, 0) + hashes
    signature = struct.pack(">5I", 0xFADE0CC0, 20 + len(directory), 1, 0, 20) + directory
    whole = bytearray(code + signature)
    if flip >= 0:
        whole[flip] ^= 1
    return bytes(whole)


def test_a_library_of_macos() -> None:
    binary = read_binary(dylib())
    assert (binary.format, binary.machine, binary.oldest) == ("Mach-O", "aarch64", (11, 2))
    assert binary.libraries == {"/usr/lib/libSystem.B.dylib"}
    assert binary.paths == {"@rpath/libx.dylib"}
    assert binary.imports == {"free"}
    assert binary.exports == {"lb_run", "lb_isa"}
    assert binary.signed
    assert not read_binary(dylib(flip=0x2F0)).signed
    with pytest.raises(ValueError, match="platform 2, not macOS"):
        read_binary(dylib(platform=2))
    with pytest.raises(ValueError, match="machine 0x7, neither"):
        read_binary(dylib(cpu=7))


def dll(machine: int = 0x8664, flags: int = 0x2022, late: int = 0) -> bytes:
    """A library of Windows whose only section lies at 0x1000 in memory and at 0x200 in the file."""

    def exports(at: int) -> bytes:
        """The table, then the address of the only name; those of functions are left out."""
        strings = at + 48
        table = struct.pack("<11I", 0, 0, 0, strings, 1, 1, 1, 0, at + 44, 0, strings + 6)
        # The last two are the addresses of functions, which nobody reads, and of numbers.
        return (
            table[:32] + struct.pack("<II", at + 44, 0) + bytes(4) + struct.pack("<I", strings + 6)
        )

    exported = padded(exports(0x1000) + b"x.dll\0lb_run\0", 16)
    start = 0x1000 + len(exported)
    lookup = start + 40
    text = lookup + 24
    imported = struct.pack("<5I", lookup, 0, 0, text, lookup) + bytes(20)
    imported += struct.pack("<QQQ", text + 13, 1 << 63 | 7, 0)
    imported += b"KERNEL32.dll\0" + b"\0\0Sleep\0"
    directories = [(0x1000, 40), (start, 40), *[(0, 0)] * 11, (late, 0), (0, 0), (0, 0)]
    optional = struct.pack("<H", 0x20B).ljust(112, b"\0")
    optional += b"".join(struct.pack("<II", *entry) for entry in directories)
    content = exported + imported
    section = b".rdata\0\0" + struct.pack("<4I", len(content), 0x1000, 0x200, 0x200) + bytes(16)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, len(optional), flags)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    return (dos + header + optional + section).ljust(0x200, b"\0") + content.ljust(0x200, b"\0")


def test_a_library_of_windows() -> None:
    binary = read_binary(dll())
    assert (binary.format, binary.machine) == ("PE", "x86_64")
    assert binary.libraries == {"KERNEL32.dll"}
    assert binary.imports == {"Sleep"}
    assert binary.exports == {"lb_run"}
    assert binary.paths == {"x.dll"}
    assert read_binary(dll(machine=0xAA64)).machine == "aarch64"
    for wrong, message in (
        ({"flags": 0x22}, "is not a 64-bit DLL"),
        ({"machine": 0x14C}, "machine 0x14c, neither"),
        ({"late": 0x1000}, "loads libraries late"),
    ):
        with pytest.raises(ValueError, match=message):
            read_binary(dll(**wrong))


@pytest.mark.skipif(sys.platform != "linux", reason="reads a library of this Linux")
def test_a_library_of_linux() -> None:
    path = np._core._multiarray_umath.__file__  # type: ignore[attr-defined]
    with open(path, "rb") as file:  # noqa: PTH123 - a string
        binary = read_binary(file.read())
    assert binary.format == "ELF"
    assert any(name.startswith("libc.") for name in binary.libraries)
    assert "malloc" in binary.imports
    assert "PyInit__multiarray_umath" in binary.exports
    if "libc.so.6" in binary.libraries:
        assert (2, 2) < binary.oldest < (3,)


def test_what_is_no_library() -> None:
    with pytest.raises(ValueError, match="no 64-bit ELF, Mach-O or PE file"):
        read_binary(b"\x7fELF\x01\x01" + bytes(100))
    program = bytearray(200)
    program[:6] = b"\x7fELF\x02\x01"
    program[16] = 2
    with pytest.raises(ValueError, match="type 2, not a shared library"):
        read_binary(bytes(program))
