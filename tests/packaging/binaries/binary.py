"""A shared library, whichever its format, and what the readers of all formats share."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Binary", "machine_name", "records", "text_at"]


@dataclass
class Binary:
    """A shared library. Names are as the system's loader compares them."""

    format: str
    """``"ELF"``, ``"Mach-O"`` or ``"PE"``."""
    machine: str
    """``"x86_64"`` or ``"aarch64"``."""
    libraries: set[str] = field(default_factory=set)
    """Those that the system has to load with it."""
    imports: set[str] = field(default_factory=set)
    """Symbols of other libraries."""
    exports: set[str] = field(default_factory=set)
    """Its own symbols that others see."""
    paths: set[str] = field(default_factory=set)
    """Where it has libraries searched, and its own name as linkers write it down."""
    oldest: tuple[int, ...] = ()
    """The oldest glibc (ELF; empty where it asks for none) or macOS that it runs with."""
    signed: bool = False
    """Mach-O: every page has the hash that the signature gives."""


def machine_name(number: int, x86: int, arm: int) -> str:
    """The name of a machine that a format numbers so.

    Raises:
        ValueError: it is neither of the two.
    """
    names = {x86: "x86_64", arm: "aarch64"}
    if number not in names:
        raise ValueError(f"is for machine {number:#x}, neither x86-64 nor 64-bit ARM")
    return names[number]


def text_at(data: bytes, at: int) -> str:
    """The text at ``at``, which a zero byte ends."""
    return data[at : data.index(b"\0", at)].decode()


def records(layout: str, data: bytes) -> Iterator[tuple[Any, ...]]:
    """All whole records of a ``struct`` layout."""
    size = struct.calcsize(layout)
    return struct.iter_unpack(layout, data[: len(data) // size * size])
