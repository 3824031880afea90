"""What a tokenizer's side files say beside ``tokenizer.json``, honoured as transformers does it.

transformers 4.57 builds a fast tokenizer from ``tokenizer.json`` and then lets
``tokenizer_config.json`` have the last word: on the side that is cut, on token types, on lower case
and accents, on the space before a text. Exports that went through transformers carry the same in
both files; what was edited by hand may contradict itself, and answers would differ in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.bundle.reading import read_json, status
from leanbert.errors import BundleCorruptError

if TYPE_CHECKING:
    import tokenizers

__all__ = [
    "configure",
    "file_beside",
    "has_token_types",
    "joins_words",
    "read_settings",
    "side_of",
]

_NAME = "tokenizer_config.json"
_SIDES = ("left", "right")

# transformers' fast classes (tokenization_*_fast.py) by family: those that rewrite a BertNormalizer
# from their arguments, whose defaults count where the file is silent...
_LOWER_CASING = frozenset(
    {"bert", "convbert", "distilbert", "electra", "funnel", "layoutlm", "layoutlmv2", "lxmert"}
    | {"mobilebert", "mpnet", "roformer", "splinter", "squeezebert"}
)
_KEEPING_CHINESE = frozenset({"layoutlmv2", "mpnet", "roformer", "splinter"})  # as the json has it
# ... and those whose class says that models take no token types.
_UNTYPED = frozenset(
    {"bart", "bigbird", "camembert", "distilbert", "dprreader", "longformer", "mpnet", "roberta"}
    | {"xlmroberta"}
)


def read_settings(side_file: Callable[[str], Mapping[str, Any]]) -> dict[str, Any]:
    """What ``special_tokens_map.json`` and ``tokenizer_config.json`` say; the latter wins.

    Args:
        side_file: gives the keys of the file of a name, none where there is no such file; a
            bundle's own is :meth:`leanbert.bundle.Bundle.side_file`.

    Raises:
        BundleCorruptError: one of the files is there and is not a JSON object.
    """
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", _NAME):
        found |= side_file(name)
    return found


def file_beside(path: Path, name: str) -> Mapping[str, Any]:
    """What the JSON file ``name`` beside the one at ``path`` says; nothing where there is none."""
    other = path.parent / name
    return {} if status(other) is None else read_json(other)


def side_of(settings: Mapping[str, Any], key: str, stored: Mapping[str, Any] | None) -> str:
    """``truncation_side`` or ``padding_side``: ``"left"`` or ``"right"``.

    Args:
        settings: see :func:`read_settings`.
        key: which of the two.
        stored: truncation or padding as ``tokenizer.json`` has it, which counts second.

    Raises:
        BundleCorruptError: it is something else.
    """
    side = settings.get(key)
    if side is None:
        side = str(stored["direction"]).lower() if stored else "right"
    if side not in _SIDES:
        raise BundleCorruptError(f"{_NAME}: {key} is {side!r}; expected {' or '.join(_SIDES)}")
    return str(side)


def has_token_types(settings: Mapping[str, Any]) -> bool:
    """Whether a pair's two parts get different token types; otherwise all types are 0.

    Raises:
        BundleCorruptError: ``model_input_names`` is no list of names.
    """
    names = settings.get("model_input_names")
    if names is None:
        return _family(settings) not in _UNTYPED
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BundleCorruptError(f"{_NAME}: model_input_names is {names!r}; expected a list")
    return "token_type_ids" in names


def configure(base: tokenizers.Tokenizer, settings: Mapping[str, Any]) -> None:
    """Change a tokenizer where the settings contradict its ``tokenizer.json``.

    Raises:
        BundleCorruptError: the settings name tokens that the tokenizer does not have, or their
            values are of another type.
    """
    from tokenizers import normalizers, pre_tokenizers

    _check_added(base, settings)
    family = _family(settings)
    normalizer = _state(base.normalizer)
    if normalizer.get("type") == "BertNormalizer":
        wanted = _normalizer(settings, family)
        if family in _KEEPING_CHINESE:
            wanted.pop("handle_chinese_chars", None)
        if any(normalizer[key] != value for key, value in wanted.items()):
            kept = {key: value for key, value in normalizer.items() if key != "type"}
            base.normalizer = normalizers.BertNormalizer(**{**kept, **wanted})
            # tokenizers below 0.23 goes on looking for added tokens as they were normalized before.
            base.add_tokens([])
    pre_tokenizer = _state(base.pre_tokenizer)
    if pre_tokenizer.get("type") == "ByteLevel" and (family or "add_prefix_space" in settings):
        space = bool(_flag(settings, "add_prefix_space", default=False))
        if pre_tokenizer["add_prefix_space"] != space:
            base.pre_tokenizer = pre_tokenizers.ByteLevel(
                add_prefix_space=space, use_regex=pre_tokenizer["use_regex"]
            )
    if _flag(settings, "split_special_tokens", default=False):
        base.encode_special_tokens = True


def joins_words(base: tokenizers.Tokenizer) -> bool:
    """Whether words that come apart would be read as one: byte-level BPE that adds no space."""
    return _lacks_space(_state(base.pre_tokenizer))


def _lacks_space(state: Mapping[str, Any]) -> bool:
    if state.get("type") == "Sequence":
        return any(map(_lacks_space, state.get("pretokenizers", ())))
    return state.get("type") == "ByteLevel" and state.get("add_prefix_space") is False


def _normalizer(settings: Mapping[str, Any], family: str | None) -> dict[str, Any]:
    """The fields of a BertNormalizer that the settings decide."""
    defaults = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    fields = {"do_lower_case": "lowercase", "tokenize_chinese_chars": "handle_chinese_chars"}
    if family is not None and family not in _LOWER_CASING:
        return {}  # this class takes no notice of them
    given = defaults if family else {key: settings[key] for key in defaults if key in settings}
    return {
        fields.get(key, key): _flag(settings, key, default=default)
        for key, default in ((key, defaults[key]) for key in given)
    }


def _check_added(base: tokenizers.Tokenizer, settings: Mapping[str, Any]) -> None:
    """Refuse tokens that transformers would add, with ids that no model was trained with."""
    added = settings.get("added_tokens_decoder") or {}
    if not isinstance(added, Mapping):
        raise BundleCorruptError(f"{_NAME}: added_tokens_decoder is no object")
    for token in added.values():
        content = token.get("content") if isinstance(token, Mapping) else token
        if not isinstance(content, str):
            raise BundleCorruptError(f"{_NAME}: added_tokens_decoder has a token without content")
        if base.token_to_id(content) is None:
            raise BundleCorruptError(
                f"{_NAME}: adds the token {content!r}, which tokenizer.json lacks; save the "
                "tokenizer once more with transformers"
            )


def _flag(settings: Mapping[str, Any], key: str, *, default: bool | None) -> bool | None:
    value = settings.get(key, default)
    if value is not None and not isinstance(value, bool):
        raise BundleCorruptError(f"{_NAME}: {key} is {value!r}; expected true or false")
    return value


def _family(settings: Mapping[str, Any]) -> str | None:
    """Transformers' class without its endings, in small letters; ``None`` where none is named."""
    name = settings.get("tokenizer_class")
    if not isinstance(name, str):
        return None
    return name.removesuffix("Fast").removesuffix("Tokenizer").lower()


def _state(part: Any) -> dict[str, Any]:
    """A normalizer or pre-tokenizer as its JSON says it; empty for none, or one made in Python."""
    if part is None:
        return {}
    try:
        state: dict[str, Any] = json.loads(part.__getstate__())
    except Exception:  # noqa: BLE001 - tokenizers raises bare Exception
        return {}
    return state
