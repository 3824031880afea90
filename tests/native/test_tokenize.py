"""The tokenizer's functions of leanbert_native.h: calls that lie get a status and a line."""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np

from tests.helpers.native_library import INVALID_ARGUMENT, OK, UNSUPPORTED, load_library_with
from tests.native.test_tokenizer import words

TEXTS = (b"ab c", b"", b"\xffc\0[SEP]")
"""Of the words ``ab`` and ``c``; the last one is no UTF-8, and has a NUL in it."""


def library() -> ctypes.CDLL:
    return load_library_with("lb_tokenize")


class Opened:
    """A tokenizer of the library, and what the last call said."""

    def __init__(self, content: bytes, config: bytes = b"") -> None:
        self.library = library()
        self.handle = ctypes.c_void_p()
        self.message = ctypes.create_string_buffer(512)
        self.status = self.library.lb_tokenizer_open(
            *(content, len(content), config, len(config)),
            *(ctypes.byref(self.handle), self.message, len(self.message)),
        )

    @property
    def line(self) -> str:
        return self.message.value.decode()

    def tokenize(
        self, texts: tuple[bytes, ...], max_tokens: int, room: int, ends: list[int] | None = None
    ) -> tuple[list[int], list[int], list[int], list[int]]:
        """Ids, types, lengths and marks of cut texts, what was not written as it was before."""
        ids, types = np.full(room, -1, np.int32), np.full(room, -1, np.int32)
        lengths, cut = np.zeros(len(texts), np.int32), np.zeros(len(texts), np.uint8)
        said = np.cumsum([len(text) for text in texts]) if ends is None else np.array(ends)
        places = said.astype(np.uint64)
        self.status = self.library.lb_tokenize(
            *(self.handle, len(texts), b"".join(texts), places.ctypes.data, max_tokens, room),
            *(ids.ctypes.data, types.ctypes.data, lengths.ctypes.data, cut.ctypes.data),
            *(self.message, len(self.message)),
        )
        return ids.tolist(), types.tolist(), lengths.tolist(), cut.tolist()

    def __del__(self) -> None:
        self.library.lb_tokenizer_close(self.handle)


def opened() -> Opened:
    found = Opened(json.dumps(words("ab", "c")).encode())
    assert found.status == OK
    return found


def test_texts_stand_one_after_the_other() -> None:
    tokenizer = opened()
    vocabulary: dict[str, Any] = words("ab", "c")["model"]["vocab"]
    names = {number: name for name, number in vocabulary.items()}
    ids, types, lengths, cut = tokenizer.tokenize(TEXTS, 4, 12)
    assert tokenizer.status == OK
    assert [names.get(number) for number in ids] == [
        *("[CLS]", "ab", "c", "[SEP]"),
        *("[CLS]", "[SEP]"),
        *("[CLS]", "c", "[SEP]", "[SEP]"),
        *(None, None),
    ]
    assert types == [0] * 10 + [-1] * 2
    assert (lengths, cut) == ([4, 2, 4], [0, 0, 0])
    assert tokenizer.tokenize(TEXTS, 3, 12)[2:] == ([3, 2, 3], [1, 0, 1])
    assert tokenizer.library.lb_tokenizer_special_tokens(tokenizer.handle) == 2


def test_what_is_wrong_with_a_call() -> None:
    tokenizer = opened()
    for max_tokens, room, ends, why in (
        (2, 12, None, "leave no room for text"),
        (4, 9, None, "text 2 does not fit"),
        (4, 0, None, "text 0 does not fit"),
        (4, 12, [4, 3, 10], "text 1 ends before it begins"),
    ):
        tokenizer.tokenize(TEXTS, max_tokens, room, ends)
        assert tokenizer.status == INVALID_ARGUMENT
        assert why in tokenizer.line
        assert "\n" not in tokenizer.line
    assert tokenizer.tokenize((), 4, 0) == ([], [], [], [])
    assert tokenizer.status == OK


def test_what_is_refused() -> None:
    for content, config, why in (
        (b"", b"", "tokenizer.json: "),
        (b"{}", b"", "tokenizer.json: model is missing"),
        (json.dumps(words()).encode(), b"[]", "tokenizer_config.json: not a JSON object"),
        (json.dumps(words(normalizer={"type": "NFKC"})).encode(), b"", 'normalizer is "NFKC"'),
    ):
        found = Opened(content, config)
        assert found.status == UNSUPPORTED
        assert not found.handle
        assert why in found.line
        assert "\n" not in found.line


def test_null_pointers() -> None:
    found = library()
    handle = ctypes.c_void_p()
    content = json.dumps(words()).encode()
    sizes = (len(content), None, 0)
    assert found.lb_tokenizer_open(content, *sizes, None, None, 0) == INVALID_ARGUMENT
    reference = ctypes.byref(handle)
    assert found.lb_tokenizer_open(None, 0, None, 0, reference, None, 0) == INVALID_ARGUMENT
    assert found.lb_tokenizer_open(content, len(content), None, 9, reference, None, 0) == (
        INVALID_ARGUMENT
    )
    assert found.lb_tokenizer_open(content, *sizes, reference, None, 0) == OK
    nothing = (None, None, None, None, None, 0)
    assert found.lb_tokenize(None, 0, None, None, 4, 0, *nothing) == INVALID_ARGUMENT
    assert found.lb_tokenize(handle, 1, None, None, 4, 0, *nothing) == INVALID_ARGUMENT
    assert found.lb_tokenize(handle, 0, None, None, 4, 0, *nothing) == OK
    assert found.lb_tokenizer_special_tokens(None) == 0
    found.lb_tokenizer_close(handle)
    found.lb_tokenizer_close(None)
