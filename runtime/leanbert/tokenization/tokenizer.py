"""Texts to token ids, exactly as transformers' fast tokenizers do it, safely from many threads.

Padding and truncation of a ``tokenizers.Tokenizer`` are settings of the shared object; changing
them per call makes threads fail with "Already borrowed" (huggingface/tokenizers#537). So they are
set once when the tokenizer is loaded; another limit gets an own, cached copy. Texts alone are
tokenized by the native library where it does exactly the same, which needs no such settings; then
the tokenizers library is loaded when something else is asked for. Windows of long texts, and where
each token stands in its text: :mod:`leanbert.tokenization.segments`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.bundle import Bundle
from leanbert.bundle.reading import read_file
from leanbert.bundle.tokenizer_file import MOST_TOKENIZER_BYTES, check_tokenizer
from leanbert.cpu import allowed_cores, omp_num_threads
from leanbert.environment import variable
from leanbert.errors import InputError
from leanbert.tokenization.chunks import CHUNK, MOST_CHARACTERS, chunks_of
from leanbert.tokenization.copies import Copies, Cut
from leanbert.tokenization.cutting import refuse_cut, truncation_flag
from leanbert.tokenization.encodings import Encodings, TextInput, join
from leanbert.tokenization.making import Made, make_tokenizer
from leanbert.tokenization.native import NativeTokenizer
from leanbert.tokenization.rows import encode_rows
from leanbert.tokenization.settings import file_beside, has_token_types, read_settings
from leanbert.tokenization.special_tokens import SpecialTokens

if TYPE_CHECKING:
    import tokenizers

    from leanbert.engines.ceiling import Ceiling
    from leanbert.tokenization.pieces import Pieces
    from leanbert.tokenization.shortening import Shortener

__all__ = ["Tokenizer"]

_NEED_PLACES = ("token-classification", "question-answering")
"""Tasks that ask where each token stands, which the tokenizers library says."""


class Tokenizer:
    """A fast tokenizer with its limits fixed.

    Args:
        path: the ``tokenizer.json``.
        max_length: longest input in tokens, special tokens included.
        content: the content of ``path``, where it was read and checked already.
        settings: what the files beside ``path`` say, likewise; see
            :func:`leanbert.tokenization.settings.read_settings`.
        native: whether the native library may tokenize.

    Raises:
        BundleCorruptError: ``path`` is not a tokenizer.
    """

    def __init__(
        self,
        path: Path,
        max_length: int,
        *,
        content: bytes | None = None,
        settings: Mapping[str, Any] | None = None,
        native: bool = True,
    ) -> None:
        if content is None:
            content = read_file(path, MOST_TOKENIZER_BYTES)
            check_tokenizer(content, path)
        if settings is None:
            settings = read_settings(partial(file_beside, path))
        self.max_length = max_length
        self.settings = settings
        """What the tokenizer's side files say."""
        self.has_token_types = has_token_types(settings)
        """Whether a pair's two parts get different token types; otherwise all types are 0."""
        self._make = partial(make_tokenizer, path, content, settings, max_length)
        self._starts_threads = False
        self._copies = Copies()
        self._most_characters = MOST_CHARACTERS
        self.ceiling: Ceiling | None = None
        """What bounds the texts; see :meth:`keep_below`."""
        self._native = NativeTokenizer.of(content, settings) if native else None
        if self._native is None:
            _ = self._made  # which raises now what it raises

    @classmethod
    def of(cls, bundle: Bundle) -> Tokenizer:
        """The tokenizer of a bundle, with the bundle's limits."""
        return cls(
            bundle.tokenizer_path,
            bundle.max_length,
            content=bundle.tokenizer_json(),
            settings=read_settings(bundle.side_file),
            native=(bundle.task or bundle.config.head_task) not in _NEED_PLACES,
        )

    @cached_property
    def _made(self) -> Made:
        made = self._make()
        if self._starts_threads:
            _start_threads(made.base)
        return made

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The shared tokenizer of the tokenizers library, to be read and never set."""
        return self._made.base

    @property
    def padding_side(self) -> str:
        """The side that transformers pads, which for pairs also says what is asked first."""
        return self._made.padding_side

    @property
    def truncation_side(self) -> str:
        """The side of a long text that is cut off."""
        return self._made.truncation_side

    @cached_property
    def special_tokens(self) -> SpecialTokens:
        """The names and ids of the special tokens."""
        return SpecialTokens(self.settings, self.backend.token_to_id)

    @cached_property
    def shortener(self) -> Shortener:
        """Cuts long texts before they are tokenized."""
        from leanbert.tokenization.shortening import Shortener

        return Shortener(self.backend, self.truncation_side)

    @cached_property
    def pieces(self) -> Pieces:
        """Finds the windows of long texts."""
        from leanbert.tokenization.pieces import Pieces

        return Pieces(self.backend)

    def start_threads(self) -> None:
        """Bound the tokenizers library's threads where ``OMP_NUM_THREADS`` is set.

        The library counts affinity and quota by itself, but reads another variable, once a process.
        """
        if omp_num_threads() is not None:
            self._starts_threads = True
            if self._native is None:
                _start_threads(self.backend)

    def keep_below(self, ceiling: Ceiling) -> None:
        """From now on keep to the part of a ceiling, and refuse what cannot."""
        self.ceiling = ceiling
        self._copies.most = 1
        self._most_characters = min(MOST_CHARACTERS, ceiling.characters)

    def encode(
        self,
        texts: Sequence[TextInput],
        *,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        strategy: str = "longest_first",
        first_index: int = 0,
    ) -> Encodings:
        """Encode texts or pairs, special tokens added; long ones are cut.

        Args:
            texts: the texts or pairs. Lone surrogates, which have no UTF-8, become U+FFFD.
            truncation: ``True`` cuts long texts silently, ``None`` lists them in
                :attr:`Encodings.cut` (see :mod:`leanbert.tokenization.cutting`), ``False`` raises
                instead. transformers' names, ``"longest_first"`` for ``True`` and
                ``"do_not_truncate"`` for ``False``, are understood.
            max_length: cut shorter than the model's own limit, in tokens.
            strategy: which part of a pair is cut: see :meth:`cut_to`.
            first_index: what to call the first text in messages.

        Raises:
            InputError: a text is not a string, or too long under ``truncation=False``, or cannot
                be cut by ``strategy`` to ``max_length``.
        """
        truncation = truncation_flag(truncation)
        longest = self.max_length if max_length is None else min(max_length, self.max_length)
        native = self._native if strategy == "longest_first" else None
        if native is None or longest <= native.special_tokens:
            native = None
            self.cut_to(max_length, strategy=strategy)  # which raises now what it raises
        self.check_pairs(texts, max_length, first_index)
        parts: list[Encodings] = []
        start = first_index
        for part in chunks_of(texts, self._most_characters, self._counted(longest)):
            found = None
            if native is not None and (len(part) > 1 or self._is_short(part)):
                found = native.encode(part, longest)
            if found is not None:
                ids, types, lengths, marks = found
                made = partial(Encodings.sound, ids, types, lengths)
            else:
                rows = self._encode_rows(part, longest, max_length, strategy, start)
                marks = [bool(row.overflowing) for row in rows]
                made = partial(Encodings.made_of, rows, self.has_token_types)
            cut = [i for i, mark in enumerate(marks, start) if mark] if any(marks) else []
            parts.append(made([] if truncation is True else cut, longest))
            start += len(part)
        joined = join(parts)
        if truncation is False:
            refuse_cut(joined.cut, longest)
        return joined

    def _encode_rows(
        self,
        part: Sequence[TextInput],
        longest: int,
        max_length: int | None,
        strategy: str,
        first: int,
    ) -> list[Any]:
        """The ``tokenizers.Encoding`` of each of some texts or pairs, of which one is ``first``."""
        encode_batch = self.cut_to(max_length, strategy=strategy).encode_batch_fast

        def encode(part: list[Any]) -> list[Any]:
            part, _ = self.shortener.shorten(part, longest, strategy, first_index=first)
            if self.ceiling is not None:
                for i, text in enumerate(part, first):
                    self.ceiling.check_tokenized(text, i)
            rows: list[Any] = encode_batch(part)
            return rows

        return encode_rows(encode, part, first)

    def _counted(self, longest: int) -> int | None:
        """Characters of a text that are tokenized at most; ``None`` where it is given as it is."""
        return self.shortener.characters(longest) if self._native is None else None

    def _is_short(self, part: Sequence[object]) -> bool:
        """Whether the text alone may be tokenized as it is; longer ones are shortened first."""
        return all(isinstance(text, str) and len(text) <= self._most_characters for text in part)

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
        if (length, stride, strategy) == (self.max_length, 0, "longest_first"):
            return self.backend
        room = self.room("max_length", length)
        if not 0 <= stride < room:
            raise InputError(
                f"stride is {stride}; windows of {length} tokens have room for {room} of the text, "
                "so it must be less, and no less than 0"
            )
        return self._copies.get(self.backend, Cut(length, stride, strategy, self.truncation_side))

    def room(self, argument: str, tokens: int) -> int:
        """How many tokens of a text a limit leaves beside the special ones.

        Args:
            argument: what set the limit, for the message.
            tokens: the limit, special tokens included.

        Raises:
            InputError: none.
        """
        special = self.added_tokens(pair=False)
        if tokens <= special:
            raise InputError(
                f"{argument} is {tokens}; {special} special tokens leave no room for text"
            )
        return tokens - special

    def check_pairs(
        self, texts: Sequence[object], max_length: int | None, first_index: int
    ) -> None:
        """Refuse pairs that have no room beside their special tokens.

        Raises:
            InputError: one of ``texts`` is such a pair.
        """
        if max_length is None:
            return
        special = self.added_tokens(pair=True)
        if max_length > special:
            return
        for i, text in enumerate(texts, first_index):
            if isinstance(text, tuple):
                raise InputError(
                    f"text {i}: max_length is {max_length}; the {special} special tokens of a pair "
                    "leave no room for text"
                )

    def count_tokens(self, texts: Sequence[str], first_index: int = 0) -> list[int]:
        """Tokens of each text alone, special tokens not counted; none above ``max_length``."""
        counts: list[int] = []
        for start in range(0, len(texts), CHUNK):
            part = texts[start : start + CHUNK]
            without = partial(self.backend.encode_batch_fast, add_special_tokens=False)
            counts += [len(row.ids) for row in encode_rows(without, part, first_index + start)]
        return counts

    def added_tokens(self, *, pair: bool) -> int:
        """How many special tokens are added to a text or a pair."""
        if self._native is not None and not pair:
            return self._native.special_tokens
        number: int = self.backend.num_special_tokens_to_add(is_pair=pair)
        return number

    def id_to_token(self, token_id: int) -> str:
        """The token of an id, as it stands in the vocabulary (``"##ing"``, ``"\u0120and"``)."""
        token: str | None = self.backend.id_to_token(token_id)
        return "" if token is None else token

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as it stands in the vocabulary; ``None`` for no token."""
        found: int | None = self.backend.token_to_id(token)
        return found

    def tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Tokens put together to text, as transformers' ``convert_tokens_to_string`` does."""
        decoder = self.backend.decoder
        if decoder is None:
            return " ".join(tokens)
        text: str = decoder.decode(list(tokens))
        return text

    @property
    def continuing_subword_prefix(self) -> str | None:
        """What marks a piece inside a word (WordPiece's ``"##"``); ``None`` without one."""
        prefix: str | None = getattr(self.backend.model, "continuing_subword_prefix", None)
        return prefix or None


def _start_threads(base: tokenizers.Tokenizer) -> None:
    """Start the library's threads now, as many as this process may have."""
    with variable("RAYON_NUM_THREADS", str(allowed_cores())):
        base.encode_batch_fast([""])
