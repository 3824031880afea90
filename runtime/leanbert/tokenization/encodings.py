"""What callers give, and what the tokenizer makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import numpy as np

from leanbert.engines.batch import Batch, Ints
from leanbert.errors import InputError

__all__ = ["Encodings", "TextInput", "join", "text_input"]

E = TypeVar("E", bound="Encodings")

TextInput: TypeAlias = "str | tuple[str, str]"
"""One text, or a text and its pair."""


@dataclass(frozen=True, eq=False)
class Encodings(Batch):
    """The token ids of some texts, in the order of the texts."""

    cut: Sequence[int] = ()
    """The numbers of the texts that were cut and whose cutting is still to be reported."""
    max_length: int = 0
    """Tokens of the longest row that the cutting left."""

    @classmethod
    def sound(
        cls, input_ids: Ints, token_type_ids: Ints, lengths: Ints, cut: Sequence[int], longest: int
    ) -> Encodings:
        """The same as calling the class, without its checks: for arrays that were made to fit."""
        made = cls.__new__(cls)
        made.__dict__.update(
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            lengths=lengths,
            cut=cut,
            max_length=longest,
        )
        return made

    @classmethod
    def made_of(
        cls, rows: Sequence[Any], has_token_types: bool, cut: Sequence[int], max_length: int
    ) -> Encodings:
        """What is kept of the ``tokenizers.Encoding`` of each text, types only where asked for.

        A single text takes a shorter way, as its call has little else to do.
        """
        if len(rows) == 1:
            ids = rows[0].ids
            types = rows[0].type_ids if has_token_types else []
            input_ids = np.array(ids, np.int32)
            token_type_ids = np.array(types, np.int32) if any(types) else None
            lengths = np.array([len(ids)], np.int32)
        else:
            listed = [row.ids for row in rows]
            lengths = np.array([len(ids) for ids in listed], np.int32)
            total = int(lengths.sum())
            input_ids = np.fromiter(chain.from_iterable(listed), np.int32, total)
            token_type_ids = None
            if has_token_types:
                every = chain.from_iterable(row.type_ids for row in rows)
                token_type_ids = np.fromiter(every, np.int32, total)
        if token_type_ids is None:
            token_type_ids = np.zeros(len(input_ids), np.int32)
        return cls(input_ids, token_type_ids, lengths, cut, max_length)


def join(parts: Sequence[E]) -> E:
    """The encodings of several lists of texts as those of one list.

    *Shape:* every array and list is concatenated along its first axis.
    """
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for field in fields(parts[0]):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            joined[field.name] = np.concatenate(values)
        elif isinstance(values[0], int):
            joined[field.name] = values[0]
        else:
            joined[field.name] = list(chain.from_iterable(values))
    return type(parts[0])(**joined)


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
