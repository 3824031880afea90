"""Token ids back to text as transformers' fast tokenizers decode them, and the mask's token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.bundle.reading import read_json
from leanbert.tokenization import Tokenizer

__all__ = ["Vocabulary"]

_NAMED_MASK = ("[MASK]", "<mask>", "[mask]", "<MASK>")
# What transformers' `clean_up_tokenization` undoes (tokenization_utils_base.py, 4.57): the spaces
# that splitting at punctuation and English clitics left, in this order.
_SPACES = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


class Vocabulary:
    """The words of one tokenizer.

    Args:
        tokenizer: the bundle's; it is only read, so threads may share it.
        bundle: where ``tokenizer_config.json`` and ``special_tokens_map.json`` may say more.
    """

    def __init__(self, tokenizer: Tokenizer, bundle: Bundle) -> None:
        self._backend = tokenizer.backend
        settings = _settings(bundle.path)
        self._clean_up = settings.get("clean_up_tokenization_spaces") is True
        self.mask_token = _mask_token(settings, tokenizer)
        """What stands for a hidden word, for example ``"[MASK]"``; ``None`` without one."""
        self.mask_token_id: int | None = (
            None if self.mask_token is None else tokenizer.token_to_id(self.mask_token)
        )

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of some token ids, cleaned up where the tokenizer's settings say so."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)
        if self._clean_up:
            for spaced in _SPACES:
                text = text.replace(spaced, spaced.strip())
        return text

    def first_id(self, text: str) -> int | None:
        """The first token's id of a text without special tokens; ``None`` for an empty one."""
        ids = self._backend.encode(text, add_special_tokens=False).ids
        return int(ids[0]) if ids else None


def _settings(root: Path) -> dict[str, Any]:
    """What the tokenizer's two side files say, the first of them before the second."""
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (root / name).is_file():
            found |= read_json(root / name)
    return found


def _mask_token(settings: Mapping[str, Any], tokenizer: Tokenizer) -> str | None:
    named = settings.get("mask_token")
    if isinstance(named, Mapping):  # an AddedToken in JSON
        named = named.get("content")
    candidates = [named] if isinstance(named, str) else _NAMED_MASK
    return next((token for token in candidates if tokenizer.token_to_id(token) is not None), None)
