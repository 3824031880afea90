"""Token ids back to text, as transformers' fast tokenizers decode them."""

from __future__ import annotations

from collections.abc import Sequence

from leanbert.tokenization.tokenizer import Tokenizer

__all__ = ["Vocabulary"]

# What transformers' `clean_up_tokenization` undoes (tokenization_utils_base.py, 4.57): the spaces
# that splitting at punctuation and English clitics left, in this order.
_SPACES = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


class Vocabulary:
    """The words of one tokenizer.

    Args:
        tokenizer: the bundle's; it is only read, so threads may share it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._backend = tokenizer.backend
        self._clean_up = tokenizer.settings.get("clean_up_tokenization_spaces") is True
        self.mask_token = tokenizer.special_tokens.token("mask_token")
        """What stands for a hidden word, for example ``"[MASK]"``; ``None`` without one."""
        self.mask_token_id = tokenizer.special_tokens.id("mask_token")

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
