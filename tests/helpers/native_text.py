"""The C library's tokenizer and JSON reader through the probe library."""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.native_library import load_probe

_MESSAGE = 512
UNBOUNDED = 1 << 40
"""A number of tokens that no text has."""


class RefusedError(Exception):
    """What the C library says of a file or text that it does not take."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """One text's tokens. *Shape:* ``offsets`` ``(tokens, 2)``, bytes; the others ``(tokens,)``."""

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    cut: bool


class NativeTokenizer:
    """A tokenizer of the C library."""

    def __init__(
        self,
        tokenizer: str | bytes,
        config: str | bytes = b"",
        special_tokens_map: str | bytes = b"",
    ) -> None:
        self.handle = ctypes.c_void_p()
        self.library = _probe()
        arguments: list[Any] = []
        for content in (tokenizer, config, special_tokens_map):
            data = content.encode() if isinstance(content, str) else content
            arguments += [data, ctypes.c_size_t(len(data))]
        _call(self.library.probe_tokenizer_open, *arguments, ctypes.byref(self.handle))

    def encode(self, texts: Sequence[str | bytes], max_tokens: int = UNBOUNDED) -> list[Encoded]:
        """Each text's tokens, special tokens added."""
        data = [text.encode() if isinstance(text, str) else text for text in texts]
        ends = np.cumsum([len(one) for one in data], dtype=np.uint64)
        joined = b"".join(data)
        special = int(self.library.probe_tokenizer_special(self.handle))
        most = len(joined) + special * len(texts)
        rows = np.zeros((most, 4), np.int64)
        types = np.zeros(most, np.uint8)
        lengths = np.zeros(len(texts), np.uint64)
        cuts = np.zeros(len(texts), np.uint8)
        _call(
            self.library.probe_tokenizer_encode,
            self.handle,
            joined,
            ctypes.c_void_p(ends.ctypes.data),
            ctypes.c_size_t(len(texts)),
            ctypes.c_size_t(max_tokens),
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_void_p(types.ctypes.data),
            ctypes.c_size_t(most),
            ctypes.c_void_p(lengths.ctypes.data),
            ctypes.c_void_p(cuts.ctypes.data),
        )
        found: list[Encoded] = []
        start = 0
        for length, cut in zip(lengths.tolist(), cuts.tolist(), strict=True):
            own = slice(start, start + length)
            start += length
            assert start <= most  # no token without a byte
            found.append(Encoded(rows[own, 0], types[own], rows[own, 1:3], rows[own, 3], bool(cut)))
        return found

    def encode_one_without_a_copy(self, text: bytes, max_tokens: int) -> None:
        """Encode one text, to look at the memory that takes."""
        _call(
            self.library.probe_tokenizer_encode_one,
            self.handle,
            text,
            ctypes.c_size_t(len(text)),
            ctypes.c_size_t(max_tokens),
        )

    @property
    def unknown(self) -> int:
        """The id of the unknown token, or -1."""
        return int(self.library.probe_tokenizer_unknown(self.handle))

    @property
    def special(self) -> int:
        """How many special tokens are put around a text."""
        return int(self.library.probe_tokenizer_special(self.handle))

    def id(self, token: str) -> int:
        """The id of a token, or -1."""
        data = token.encode()
        return int(self.library.probe_tokenizer_id(self.handle, data, ctypes.c_size_t(len(data))))

    def token(self, number: int) -> str:
        """The token of an id, or nothing."""
        out = ctypes.create_string_buffer(1 << 16)
        size = ctypes.c_size_t(len(out))
        written = self.library.probe_tokenizer_token(self.handle, ctypes.c_int32(number), out, size)
        return out.raw[:written].decode()

    def __del__(self) -> None:
        if self.handle:
            self.library.probe_tokenizer_close(self.handle)


def parse_json(text: bytes) -> Any:
    """What the C library reads: objects as lists of pairs, numbers as tuples.

    A whole number is ``("whole", nearest double, as int64 or None, as uint64 or None)``, a real one
    ``("real", double)``.

    Raises:
        RefusedError: it is not JSON.
    """
    size = 8 * len(text) + 1024
    out = ctypes.create_string_buffer(size)
    written = ctypes.c_size_t()
    _call(
        _probe().probe_json,
        text,
        ctypes.c_size_t(len(text)),
        out,
        ctypes.c_size_t(size),
        ctypes.byref(written),
    )
    assert written.value <= size
    return _plain(json.loads(out.raw[: written.value], object_pairs_hook=list))


def _plain(value: Any) -> Any:
    """The probe's way of writing undone; see text_probe.cpp."""
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], int):
        number = struct.unpack("<d", struct.pack("<Q", value[0]))[0]
        return ("whole", number, *value[1:]) if len(value) == 3 else ("real", number)
    if len(value) == 1 and value[0][0] == "list":
        return ["list", *(_plain(item) for item in value[0][1])]
    return [(key.removesuffix("="), _plain(item)) for key, item in value]


STEPS = ("clean", "chinese", "decompose", "drop_accents", "drop_marks", "lower")
"""What the native normalizer does, in the order of ``enum class Step``."""


def normalize(text: str, *steps: str) -> str:
    """What some of :data:`STEPS` make of a text."""
    data = text.encode()
    numbers = bytes(map(STEPS.index, steps))
    size = ctypes.c_size_t(8 * len(data) + 16)
    out = ctypes.create_string_buffer(size.value)
    library = _probe()
    library.probe_normalize.restype = ctypes.c_size_t
    written = library.probe_normalize(
        numbers, ctypes.c_size_t(len(numbers)), data, ctypes.c_size_t(len(data)), out, size
    )
    assert written <= size.value
    return out.raw[:written].decode()


def unicode_properties() -> npt.NDArray[np.int32]:
    """Flags, combining class and difference to lower case. *Shape:* ``(0x110000, 3)``."""
    out = np.zeros((0x110000, 3), np.int32)
    _probe().probe_unicode(ctypes.c_void_p(out.ctypes.data))
    return out


def _probe() -> ctypes.CDLL:
    library = load_probe()
    if not hasattr(library, "probe_tokenizer_open"):
        pytest.skip("the probe library is older than the tokenizer: build it again")
    library.probe_tokenizer_special.restype = ctypes.c_size_t
    library.probe_tokenizer_token.restype = ctypes.c_size_t
    return library


def _call(function: Any, *arguments: Any) -> None:
    message = ctypes.create_string_buffer(_MESSAGE)
    if function(*arguments, message):
        raise RefusedError(message.value.decode(errors="replace"))
