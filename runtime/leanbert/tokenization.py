"""Texts to token ids, exactly as transformers' fast tokenizers do it, safely from many threads.

Padding and truncation of a ``tokenizers.Tokenizer`` are settings of the shared object; changing
them per call makes threads fail with "Already borrowed" (huggingface/tokenizers#537). So they are
set once when the tokenizer is loaded; another limit gets an own, cached copy. Windows of long
texts, and where each token stands in its text: :mod:`leanbert.segments`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import tokenizers

from leanbert.bundle import Bundle
from leanbert.bundle.reading import read_json
from leanbert.cpu import allowed_cores
from leanbert.errors import BundleCorruptError, InputError, warn

__all__ = ["Encodings", "ModelInputs", "TextInput", "Tokenizer", "join"]

E = TypeVar("E", bound="Encodings")

TextInput: TypeAlias = "str | tuple[str, str]"
"""One text, or a text and its pair."""

ModelInputs: TypeAlias = "dict[str, npt.NDArray[np.int64]]"
"""``input_ids``, ``attention_mask`` and ``token_type_ids``, each ``(batch_size, seq_len)``."""

TokenIds: TypeAlias = "npt.NDArray[np.int32]"

# A tokenizers.Encoding holds some 100 bytes a token, its text among them, so few exist at once: the
# encodings of a window of 2,048 long texts made most of a process's growth (58 of 174 MiB).
_CHUNK = 64  # texts

_TRUNCATIONS = {"longest_first": True, "do_not_truncate": False}
_COPIES = 4  # tokenizers of another max_length, stride or strategy that are kept

# What each kind is called where no tokenizer_config.json says it.
_SPECIAL_TOKENS = {
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}
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


def join(parts: Sequence[E]) -> E:
    """The encodings of several lists of texts as those of one list.

    *Shape:* every field but ``pad_token_id`` is concatenated.
    """
    lists = [field.name for field in fields(parts[0]) if field.name != "pad_token_id"]
    joined: dict[str, Any] = {
        name: list(chain.from_iterable(getattr(part, name) for part in parts)) for name in lists
    }
    return replace(parts[0], **joined) if len(parts) > 1 else parts[0]


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
        self.padding_side = "right"
        """The side that transformers pads, which for pairs also says what is asked first."""
        self._base = base
        self._decoder = base.decoder
        self._copies: dict[tuple[int, int, str], tokenizers.Tokenizer] = {}
        self._lock = threading.Lock()
        self._special = self._read_names(path.parent / "tokenizer_config.json")

    @classmethod
    def of(cls, bundle: Bundle) -> Tokenizer:
        """The tokenizer of a bundle, with the bundle's limits."""
        return cls(bundle.tokenizer_path, bundle.max_length, bundle.config.pad_token_id)

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The shared tokenizer itself, to be read and never set."""
        return self._base

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
        truncation = truncation_flag(truncation)
        tokenizer = self.cut_to(max_length)
        ids: list[TokenIds] = []
        type_ids: list[TokenIds] = []
        cut: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            rows = encode_rows(tokenizer.encode_batch_fast, part, first_index + start)
            ids += [np.array(row.ids, dtype=np.int32) for row in rows]
            type_ids += [np.array(row.type_ids, dtype=np.int32) for row in rows]
            if truncation is not True:
                cut += [first_index + start + i for i, row in enumerate(rows) if row.overflowing]
        if cut:
            report_cut(cut, truncation, tokenizer.truncation["max_length"])
        return Encodings(ids, type_ids, self.pad_token_id)

    def cut_to(
        self, max_length: int | None, stride: int = 0, strategy: str = "longest_first"
    ) -> tokenizers.Tokenizer:
        """The tokenizer that cuts so; never change its settings, other threads use it too.

        Args:
            max_length: longest input in tokens; no longer than the model's own limit.
            stride: tokens that a window of a long text shares with the one before.
            strategy: which part of a pair is cut: ``"longest_first"``, ``"only_first"`` or
                ``"only_second"``.

        Raises:
            InputError: they leave no room for text.
        """
        length = self.max_length if max_length is None else min(max_length, self.max_length)
        key = (length, stride, strategy)
        if key == (self.max_length, 0, "longest_first"):
            return self._base
        special = self._base.num_special_tokens_to_add(is_pair=True)
        if length <= special:
            raise InputError(
                f"max_length is {max_length}; {special} special tokens leave no room for text"
            )
        room = length - self._base.num_special_tokens_to_add(is_pair=False)
        if not 0 <= stride < room:
            raise InputError(
                f"stride is {stride}; windows of {length} tokens have room for {room} of the text, "
                "so it must be less, and no less than 0"
            )
        with self._lock:
            copy = self._copies.pop(key, None)
            if copy is None:
                copy = tokenizers.Tokenizer.from_str(self._base.to_str())
                copy.enable_truncation(length, stride=stride, strategy=strategy)
            self._copies[key] = copy  # the last used stands last
            while len(self._copies) > _COPIES:
                del self._copies[next(iter(self._copies))]
        return copy

    def count_tokens(self, texts: Sequence[str], first_index: int = 0) -> list[int]:
        """Tokens of each text alone, special tokens not counted; none above ``max_length``."""
        counts: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            without = partial(self._base.encode_batch_fast, add_special_tokens=False)
            counts += [len(row.ids) for row in encode_rows(without, part, first_index + start)]
        return counts

    def special_tokens(self, pair: bool) -> int:
        """How many special tokens are added to a text or a pair."""
        number: int = self._base.num_special_tokens_to_add(is_pair=pair)
        return number

    def special_id(self, kind: str) -> int | None:
        """The id of ``"cls_token"``, ``"sep_token"``, ``"unk_token"`` or ``"mask_token"``."""
        named = self._special.get(kind)
        for name in (named,) if named is not None else _SPECIAL_TOKENS[kind]:
            found: int | None = self._base.token_to_id(name)
            if found is not None:
                return found
        return None

    def id_to_token(self, token_id: int) -> str:
        """The token of an id, as it stands in the vocabulary (``"##ing"``, ``"\u0120and"``)."""
        token: str | None = self._base.id_to_token(token_id)
        return "" if token is None else token

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as it stands in the vocabulary; ``None`` for no token."""
        found: int | None = self._base.token_to_id(token)
        return found

    def tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Tokens put together to text, as transformers' ``convert_tokens_to_string`` does."""
        if self._decoder is None:
            return " ".join(tokens)
        text: str = self._decoder.decode(list(tokens))
        return text

    @property
    def continuing_subword_prefix(self) -> str | None:
        """What marks a piece inside a word (WordPiece's ``"##"``); ``None`` without one."""
        prefix: str | None = getattr(self._base.model, "continuing_subword_prefix", None)
        return prefix or None

    def _read_names(self, path: Path) -> dict[str, str]:
        """The special tokens' names, and the padding side, where ``path`` exists."""
        if not path.is_file():
            return {}
        content = read_json(path)
        if content.get("padding_side") == "left":
            self.padding_side = "left"
        names = {}
        for kind in _SPECIAL_TOKENS:
            token = content.get(kind)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                names[kind] = token
        return names


def truncation_flag(truncation: bool | str | None) -> bool | None:
    """``truncation`` as ``True``, ``False`` or ``None``, transformers' names for it translated.

    Raises:
        InputError: it is something else.
    """
    if isinstance(truncation, str):
        if truncation not in _TRUNCATIONS:
            raise InputError(
                f"truncation is {truncation!r}; expected True, False or one of "
                f"{', '.join(_TRUNCATIONS)}"
            )
        return _TRUNCATIONS[truncation]
    return truncation


def report_cut(cut: Sequence[int], truncation: bool | None, length: int) -> None:
    """Warn that the texts of the given indices were cut to ``length`` tokens.

    Raises:
        InputError: instead, under ``truncation=False``.
    """
    first = f"text {cut[0]}"
    which = first if len(cut) == 1 else f"{len(cut)} texts ({first} first)"
    if truncation is False:
        raise InputError(
            f"{which}: longer than {length} tokens; pass truncation=True to cut, or split the text"
        )
    warn(
        f"{which}: cut to {length} tokens; pass truncation=True to cut silently, "
        "or truncation=False to raise"
    )


def encode_rows(
    encode: Callable[[list[Any]], list[Any]], texts: Sequence[Any], first_index: int
) -> list[Any]:
    """The ``tokenizers.Encoding`` of each text by ``encode``, one of a tokenizer's own methods.

    Raises:
        InputError: a text is not a string.
    """
    try:
        return encode(list(texts))
    except TypeError:
        return encode([_readable(text, first_index + i) for i, text in enumerate(texts)])


def _readable(text: Any, index: int) -> Any:
    """``text`` as the tokenizer can take it; InputError if it is no text at all."""
    if isinstance(text, str):
        return _SURROGATE.sub("\ufffd", text)
    if isinstance(text, list) and all(isinstance(word, str) for word in text):
        return [_SURROGATE.sub("\ufffd", word) for word in text]
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
