"""Texts to token ids by the native library, for the tokenizers that it reproduces exactly.

These are WordPiece tokenizers. The library refuses every ``tokenizer.json`` of which it would do
anything otherwise than the tokenizers library does it; such a bundle is tokenized by that one. A
call does not hold the interpreter's lock while texts are tokenized, and never changes the
tokenizer.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leanbert.engines.batch import Ints
from leanbert.engines.native.binding import Handle, Messages, address_of, library_with
from leanbert.errors import EngineError
from leanbert.leaving import hold_if_leaving
from leanbert.log import log_info
from leanbert.tokenization.rows import without_surrogates

__all__ = ["NativeTokenizer"]

_PER_BYTE = 2  # tokens: no character becomes more than so many per byte when it is normalized


class NativeTokenizer:
    """A tokenizer of the native library; made by :meth:`of`.

    Args:
        library: the native library.
        handle: the library's tokenizer.
    """

    def __init__(self, library: ctypes.CDLL, handle: Handle) -> None:
        self._handle = handle
        self._tokenize = library.lb_tokenize
        self._messages = Messages()
        self.special_tokens = int(library.lb_tokenizer_special_tokens(handle.pointer))
        """How many special tokens are added to a text."""

    @classmethod
    def of(cls, content: bytes, settings: Mapping[str, Any]) -> NativeTokenizer | None:
        """The tokenizer of a ``tokenizer.json``.

        Args:
            content: the file's.
            settings: what the files beside it say; see
                :func:`leanbert.tokenization.settings.read_settings`.

        Returns:
            ``None`` where the library is not there or refuses the files.
        """
        library = library_with("lb_tokenize")
        if library is None:
            return None
        pointer = ctypes.c_void_p()
        messages = Messages()
        said = json.dumps(settings).encode()
        if library.lb_tokenizer_open(
            *(content, len(content), said, len(said)),
            *(ctypes.byref(pointer), messages.buffer, messages.size),
        ):
            log_info("tokenizers is used: %s", messages.line())
            return None
        return cls(library, Handle(pointer, library.lb_tokenizer_close))

    def encode(
        self, texts: Sequence[object], max_tokens: int
    ) -> tuple[Ints, Ints, Ints, Sequence[int]] | None:
        """The tokens of each text, special tokens added; long ones are cut.

        Args:
            texts: strings. Lone surrogates, which have no UTF-8, become U+FFFD.
            max_tokens: of a text, special tokens included; more than :attr:`special_tokens`.

        Returns:
            Token ids and types of all texts, one text after the other; how many tokens each text
            has; of each text 1 where it was cut, otherwise 0. ``None`` where one of ``texts`` is
            no string. *Shape:* ``(tokens,)``, ``(tokens,)``, ``(texts,)`` and ``(texts,)``.
        """
        try:
            parts = [str.encode(text) for text in texts]  # type: ignore[arg-type]
        except TypeError:
            return None
        except UnicodeEncodeError:
            strings = [text for text in texts if isinstance(text, str)]
            if len(strings) < len(texts):
                return None
            parts = [without_surrogates(text).encode() for text in strings]
        if len(parts) == 1:
            return self._encode_one(parts[0], max_tokens)
        count = len(parts)
        joined = b"".join(parts)
        sizes = np.fromiter(map(len, parts), np.uint64, count)
        ends = np.cumsum(sizes, dtype=np.uint64)
        most = self.special_tokens + _PER_BYTE * sizes
        room = int(np.minimum(most, np.uint64(max_tokens)).sum())
        ids, types = np.empty(room, np.int32), np.empty(room, np.int32)
        lengths = np.empty(count, np.int32)
        cut = bytearray(count)
        self._call(
            *(count, joined, address_of(ends), max_tokens, room),
            *(address_of(ids), address_of(types), address_of(lengths), address_of(cut)),
        )
        total = int(lengths.sum())
        return ids[:total], types[:total], lengths, cut

    def _encode_one(self, text: bytes, max_tokens: int) -> tuple[Ints, Ints, Ints, Sequence[int]]:
        """The same for one text: in one array and by few calls, as its answer waits for them."""
        size = len(text)
        room = min(max_tokens, self.special_tokens + _PER_BYTE * size)
        places = np.empty(2 * room + 2, np.int32)  # ids, types, the length, whether it was cut
        places[-1] = 0
        ids = ctypes.addressof(address_of(places))
        end = ctypes.c_uint64(size)
        types, length = ids + 4 * room, ids + 8 * room
        self._call(1, text, ctypes.addressof(end), max_tokens, room, ids, types, length, length + 4)
        count, is_cut = places[-2:].tolist()
        return places[:count], places[room : room + count], places[-2:-1], (is_cut,)

    def _call(
        self,
        count: int,
        texts: bytes,
        ends: Any,
        max_tokens: int,
        room: int,
        *out: Any,
    ) -> None:
        """``lb_tokenize``; what it is given and fills is said in leanbert_native.h."""
        hold_if_leaving()
        messages = self._messages
        if self._tokenize(
            *(self._handle.pointer, count, texts, ends, max_tokens, room),
            *(*out, messages.buffer, messages.size),
        ):
            raise EngineError(f"the native tokenizer fails ({messages.line()})")
