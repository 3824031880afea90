"""Texts to token ids, exactly as transformers' fast tokenizers do it, safely from many threads.

Padding and truncation of a ``tokenizers.Tokenizer`` are settings of the shared object; changing
them per call makes threads fail with "Already borrowed" (huggingface/tokenizers#537). So they are
set once when the tokenizer is loaded; another ``max_length`` gets an own, cached copy.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tokenizers

from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.errors import BundleCorruptError, InputError, LeanBertWarning

__all__ = ["Encodings", "ModelInputs", "TextInput", "Tokenizer"]

TextInput: TypeAlias = "str | tuple[str, str]"
"""One text, or a text and its pair."""

ModelInputs: TypeAlias = "dict[str, npt.NDArray[np.int64]]"
"""``input_ids``, ``attention_mask`` and ``token_type_ids``, each ``(batch_size, seq_len)``."""

TokenIds: TypeAlias = "npt.NDArray[np.int32]"

# A tokenizers.Encoding holds some 100 bytes a token, its text among them, so few exist at once: the
# encodings of a window of 2,048 long texts made most of a process's growth (58 of 174 MiB).
_CHUNK = 64  # texts

_TRUNCATIONS = {"longest_first": True, "do_not_truncate": False}
_COPIES = 4  # tokenizers of another max_length that are kept
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Encodings:
    """The token ids of some texts, not yet padded.

    *Shape:* ``ids[i]`` and ``type_ids[i]`` ``(tokens of text i,)`` int32.
    """

    ids: Sequence[TokenIds]
    type_ids: Sequence[TokenIds]
    pad_token_id: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text, special tokens included."""
        return [len(row) for row in self.ids]

    def collate(self, indices: Sequence[int]) -> ModelInputs:
        """Pad the given rows on the right to the longest of them."""
        shape = (len(indices), max(len(self.ids[i]) for i in indices))
        input_ids = np.full(shape, self.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        for row, i in enumerate(indices):
            length = len(self.ids[i])
            input_ids[row, :length] = self.ids[i]
            attention_mask[row, :length] = 1
            token_type_ids[row, :length] = self.type_ids[i]
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }


class Tokenizer:
    """A fast tokenizer with its limits fixed.

    Args:
        path: the ``tokenizer.json``.
        max_length: longest input in tokens, special tokens included.
        pad_token_id: the id that fills short rows.

    Raises:
        BundleCorruptError: ``path`` is not a tokenizer.
    """

    def __init__(self, path: Path, max_length: int, pad_token_id: int = 0) -> None:
        try:
            base = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise BundleCorruptError(
                f"{path}: not a tokenizer ({error}); export the bundle again"
            ) from error
        base.no_padding()  # files from sentence-transformers come with fixed padding
        base.enable_truncation(max_length)
        # rayon counts the host's cores; a container's quota is smaller. The user's word goes first.
        os.environ.setdefault("RAYON_NUM_THREADS", str(allowed_cores()))
        self.max_length = max_length
        self.pad_token_id = pad_token_id
        self._base = base
        self._by_length: dict[int, tokenizers.Tokenizer] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, bundle: Bundle) -> Tokenizer:
        """The tokenizer of a bundle, with the bundle's limits."""
        return cls(bundle.tokenizer_path, bundle.max_length, bundle.config.pad_token_id)

    def encode(
        self,
        texts: Sequence[TextInput],
        *,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        first_index: int = 0,
    ) -> Encodings:
        """Encode texts or pairs, special tokens added; long ones are cut as ``longest_first``.

        Args:
            texts: the texts or pairs. Lone surrogates, which have no UTF-8, become U+FFFD.
            truncation: ``True`` cuts long texts silently, ``None`` with a warning; ``False``
                raises instead. transformers' names for the two, ``"longest_first"`` and
                ``"do_not_truncate"``, are understood.
            max_length: cut shorter than the model's own limit.
            first_index: what to call the first text in messages.

        Raises:
            InputError: a text is not a string, or too long under ``truncation=False``.
        """
        if isinstance(truncation, str):
            if truncation not in _TRUNCATIONS:
                raise InputError(
                    f"truncation is {truncation!r}; expected True, False or one of "
                    f"{', '.join(_TRUNCATIONS)}"
                )
            truncation = _TRUNCATIONS[truncation]
        tokenizer = self._cut_to(max_length)
        ids: list[TokenIds] = []
        type_ids: list[TokenIds] = []
        cut: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            rows = _encode(tokenizer, texts[start : start + _CHUNK], first_index + start)
            ids += [np.array(row.ids, dtype=np.int32) for row in rows]
            type_ids += [np.array(row.type_ids, dtype=np.int32) for row in rows]
            if truncation is not True:
                cut += [first_index + start + i for i, row in enumerate(rows) if row.overflowing]
        if cut:
            self._report_cut(cut, truncation, tokenizer.truncation["max_length"])
        return Encodings(ids, type_ids, self.pad_token_id)

    def _cut_to(self, max_length: int | None) -> tokenizers.Tokenizer:
        length = self.max_length if max_length is None else min(max_length, self.max_length)
        if length == self.max_length:
            return self._base
        special = self._base.num_special_tokens_to_add(is_pair=True)
        if length <= special:
            raise InputError(
                f"max_length is {max_length}; {special} special tokens leave no room for text"
            )
        with self._lock:
            copy = self._by_length.pop(length, None)
            if copy is None:
                copy = tokenizers.Tokenizer.from_str(self._base.to_str())
                copy.enable_truncation(length)
            self._by_length[length] = copy  # the last used stands last
            while len(self._by_length) > _COPIES:
                del self._by_length[next(iter(self._by_length))]
        return copy

    @staticmethod
    def _report_cut(cut: Sequence[int], truncation: bool | None, length: int) -> None:
        first = f"text {cut[0]}"
        which = first if len(cut) == 1 else f"{len(cut)} texts ({first} first)"
        if truncation is False:
            raise InputError(
                f"{which}: longer than {length} tokens; pass truncation=True to cut, "
                "or split the text"
            )
        warnings.warn(
            f"{which}: cut to {length} tokens; pass truncation=True to cut silently, "
            "or truncation=False to raise",
            LeanBertWarning,
            stacklevel=2,
        )


def _encode(
    tokenizer: tokenizers.Tokenizer, texts: Sequence[TextInput], first_index: int
) -> list[Any]:
    try:
        rows: list[Any] = tokenizer.encode_batch_fast(list(texts))
    except TypeError:
        rows = tokenizer.encode_batch_fast(
            [_readable(text, first_index + i) for i, text in enumerate(texts)]
        )
    return rows


def _readable(text: TextInput, index: int) -> TextInput:
    """``text`` as the tokenizer can take it; InputError if it is no text at all."""
    if isinstance(text, str):
        return _SURROGATE.sub("\ufffd", text)
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(t, str) for t in text):
        return (_SURROGATE.sub("\ufffd", text[0]), _SURROGATE.sub("\ufffd", text[1]))
    raise InputError(f"text {index}: expected a string, got {type(text).__name__}")


def text_input(item: object, index: int) -> TextInput:
    """Turn one of the caller's items into a text or a pair, as transformers' pipelines take them.

    A string, a mapping with ``text`` and optionally ``text_pair``, or the older ``[[text, pair]]``.

    Raises:
        InputError: anything else.
    """
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        text, pair = item.get("text"), item.get("text_pair")
        unknown = set(item) - {"text", "text_pair"}
        if isinstance(text, str) and (pair is None or isinstance(pair, str)) and not unknown:
            return (text, pair) if pair else text  # transformers takes "" for no pair, too
        raise InputError(
            f'text {index}: expected {{"text": "…", "text_pair": "…"}} with strings, '
            f"got the keys {sorted(map(str, item))}"
        )
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], list):
        inner = item[0]
        if len(inner) == 2 and all(isinstance(part, str) for part in inner):
            return (inner[0], inner[1]) if inner[1] else str(inner[0])
    raise InputError(
        f'text {index}: expected a string or {{"text": "…", "text_pair": "…"}}, '
        f"got {type(item).__name__}"
    )
