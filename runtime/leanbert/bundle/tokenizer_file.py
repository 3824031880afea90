"""What a ``tokenizer.json`` says, checked before the tokenizers library builds anything of it.

That library trusts the file: a wrong one makes it panic, which prints a stack trace and raises no
``Exception``, or take a time or a memory without bounds for a short text. What is allowed here is
what published tokenizers contain, with room to spare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leanbert.bundle.reading import parse_json
from leanbert.bundle.values import WrongValueError, brief, items, mapping, text, whole
from leanbert.errors import BundleCorruptError

__all__ = ["MOST_TOKENIZER_BYTES", "check_tokenizer"]

MOST_TOKENIZER_BYTES = 128 << 20
"""Largest size of a ``tokenizer.json``; vocabularies of 250,000 words have up to 35 MB."""

_MOST_ID = (1 << 31) - 1  # token ids and types are int32
_MOST_STEPS = 500  # normalizers, pre-tokenizers, … in all
_MOST_GROWTH = 100  # characters that one character may become
_MOST_PIECES = 64  # special tokens and texts in a template
_MOST_WORD = 10_000  # characters of a word that WordPiece looks up: its time is their square
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def check_tokenizer(data: bytes, path: Path) -> None:
    """Check ``data``, the content of the ``tokenizer.json`` at ``path``.

    Raises:
        BundleCorruptError: it is no tokenizer, or could take an unbounded time or memory.
    """
    content = parse_json(data, path)
    try:
        _check(content)
    except WrongValueError as error:
        raise BundleCorruptError(f"{path}: not a tokenizer ({error}); export it again") from error


def _check(content: Mapping[str, Any]) -> None:
    _check_model(mapping("model", content.get("model")))
    for i, token in enumerate(items("added_tokens", content.get("added_tokens") or [])):
        whole(f"added_tokens[{i}].id", mapping("added_tokens", token).get("id"), 0, _MOST_ID)
    steps = [step for part in _PARTS for step in _steps(part, content.get(part))]
    if len(steps) > _MOST_STEPS:
        raise WrongValueError(f"it has {len(steps)} steps; expected at most {_MOST_STEPS}")
    growth = 1.0
    for name, step in steps:
        _check_pattern(name, step)
        check = _CHECKS.get(str(step.get("type")))
        if check:
            check(name, step)
        growth *= _growth(step) if name.startswith("normalizer") else 1
    if growth > _MOST_GROWTH:
        raise WrongValueError(
            f"normalizer may make {growth:,.0f} characters of one; allowed are {_MOST_GROWTH}"
        )


def _steps(name: str, step: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object below ``step`` that has a type, itself first; without recursion."""
    waiting = [(name, step)]
    while waiting:
        name, step = waiting.pop()
        if isinstance(step, dict):
            if "type" in step:
                yield name, step
            waiting += [(f"{name}.{key}"[:200], value) for key, value in step.items()]
        elif isinstance(step, list):
            waiting += [(f"{name}[{i}]", value) for i, value in enumerate(step)]


def _check_model(model: Mapping[str, Any]) -> None:
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        try:
            largest = max(vocabulary.values(), default=0)
        except TypeError:
            raise WrongValueError("model.vocab has ids that are no numbers") from None
        whole("an id of model.vocab", largest, 0, _MOST_ID)
        unknown = model.get("unk_token")
        # BPE on bytes knows every byte, and its unknown token, where it is named, is never asked.
        needed = model.get("type") in ("WordPiece", "WordLevel")
        if needed and text("model.unk_token", unknown) not in vocabulary:
            raise WrongValueError(f"model.unk_token is {brief(unknown)}, which model.vocab lacks")
    if "max_input_chars_per_word" in model:
        characters = model["max_input_chars_per_word"]
        whole("model.max_input_chars_per_word", characters, 0, _MOST_WORD)


def _check_pattern(name: str, step: Mapping[str, Any]) -> None:
    pattern = step.get("pattern")
    if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        from leanbert.bundle.patterns import why_unbounded  # late: BERT's own has no patterns

        reason = why_unbounded(pattern["Regex"])
        if reason:
            raise WrongValueError(
                f"{name}: the regular expression {brief(pattern['Regex'])} {reason}, so its time "
                "is unbounded"
            )


def _growth(step: Mapping[str, Any]) -> float:
    """How many characters a normalizer makes of one at most."""
    if step["type"] != "Replace" or not isinstance(step.get("content"), str):
        return 1
    pattern = step.get("pattern")
    plain = pattern.get("String") if isinstance(pattern, dict) else None
    if plain and isinstance(plain, str):
        return max(1, len(step["content"]) / len(plain))
    return 1 + len(step["content"])  # it may replace what is empty, between two characters


def _check_template(name: str, step: Mapping[str, Any]) -> None:
    known = mapping(f"{name}.special_tokens", step.get("special_tokens"))
    for key, token in known.items():
        _check_ids(f"{name}.special_tokens.{key}", mapping(key, token).get("ids"))
    for side in ("single", "pair"):
        pieces = items(f"{name}.{side}", step.get(side))
        if len(pieces) > _MOST_PIECES:
            raise WrongValueError(f"{name}.{side} has {len(pieces)} pieces")
        for piece in pieces:
            for kind, content in mapping(f"{name}.{side}", piece).items():
                content = mapping(f"{name}.{side}", content)
                whole(f"{name}.{side}.type_id", content.get("type_id"), 0, _MOST_ID)
                token = text(f"{name}.{side}.id", content.get("id"))
                if kind == "SpecialToken" and token not in known:
                    raise WrongValueError(
                        f"{name}.{side} has {brief(token)}, which special_tokens lacks"
                    )


def _check_ids(name: str, ids: object) -> None:
    if len(items(name, ids)) > _MOST_PIECES:
        raise WrongValueError(f"{name} has {brief(ids)} ids")
    for number_ in items(name, ids):
        whole(name, number_, 0, _MOST_ID)


def _check_ends(name: str, step: Mapping[str, Any]) -> None:
    """The tokens around a text, each a name and an id."""
    for key in ("sep", "cls"):
        pair = items(f"{name}.{key}", step.get(key))
        if len(pair) != 2:
            raise WrongValueError(f"{name}.{key} is {brief(pair)}; expected a token and its id")
        whole(f"{name}.{key}", pair[1], 0, _MOST_ID)


def _check_fixed_length(name: str, step: Mapping[str, Any]) -> None:
    whole(f"{name}.length", step.get("length"), 1, 1 << 20)


def _check_precompiled(name: str, step: Mapping[str, Any]) -> None:
    """SentencePiece's map of characters: a trie in an array, and the texts that it points to.

    The layout is that of the double array in google/sentencepiece, src/normalizer.cc, and
    darts-clone: 4 bytes with the trie's size, units of 4 bytes, then texts that end in 0.
    """
    charsmap = text(f"{name}.precompiled_charsmap", step.get("precompiled_charsmap"))
    import base64  # late: few tokenizers have one
    import binascii

    try:
        data = base64.b64decode(charsmap, validate=True)
    except (binascii.Error, ValueError):
        raise WrongValueError(f"{name}.precompiled_charsmap is not in base64") from None
    size = int.from_bytes(data[:4], "little")
    texts = data[4 + size :]
    if len(data) < 4 or size % 1024 or not 0 < size <= len(data) - 4:
        raise WrongValueError(f"{name}.precompiled_charsmap has no trie")
    import numpy as np

    units = np.frombuffer(data, "<u4", size // 4, offset=4).astype(np.int64)
    places = np.arange(len(units))
    children = places ^ ((units >> 10) << ((units & 0x200) >> 6))
    inner = units < 1 << 31  # the others are leaves: where their text begins
    if (children[inner] | 0xFF).max(initial=0) >= len(units):
        raise WrongValueError(f"{name}.precompiled_charsmap has a trie that leaves its array")
    leaves = units[children[inner & (units & 0x100 != 0)]] & 0x7FFFFFFF
    try:
        texts.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongValueError(f"{name}.precompiled_charsmap has texts that are no UTF-8") from None
    starts = np.zeros(len(texts) + 1, dtype=bool)
    starts[: len(texts)] = np.frombuffer(texts, np.uint8) & 0xC0 != 0x80
    if leaves.size and (leaves.max() >= len(texts) or not starts[leaves].all()):
        raise WrongValueError(f"{name}.precompiled_charsmap points to no text")
    if max(map(len, texts.split(b"\0"))) > 4 * _MOST_GROWTH:
        raise WrongValueError(f"{name}.precompiled_charsmap makes long texts of one character")


_CHECKS = {
    "BertProcessing": _check_ends,
    "FixedLength": _check_fixed_length,
    "Precompiled": _check_precompiled,
    "RobertaProcessing": _check_ends,
    "TemplateProcessing": _check_template,
}
