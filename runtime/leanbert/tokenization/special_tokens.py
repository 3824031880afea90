"""The special tokens of a tokenizer: their names and ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["SpecialTokens"]

# What each kind is called where neither of the tokenizer's side files names it.
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>", "[mask]", "<MASK>"),
}


class SpecialTokens:
    """The special tokens of one tokenizer.

    Args:
        settings: see :func:`leanbert.tokenization.settings.read_settings`.
        token_to_id: the tokenizer's own method: the id of a token, or ``None``.
    """

    def __init__(
        self, settings: Mapping[str, Any], token_to_id: Callable[[str], int | None]
    ) -> None:
        self._found: dict[str, tuple[str, int]] = {}
        for kind, usual in _USUAL_NAMES.items():
            named = settings.get(kind)
            if isinstance(named, Mapping):  # an AddedToken in JSON
                named = named.get("content")
            for name in (named,) if isinstance(named, str) else usual:
                number = token_to_id(name)
                if number is not None:
                    self._found[kind] = name, number
                    break

    def token(self, kind: str) -> str | None:
        """The text of ``"cls_token"``, ``"sep_token"``, ``"unk_token"`` or ``"mask_token"``.

        ``None`` where the tokenizer has no such token.
        """
        found = self._found.get(kind)
        return None if found is None else found[0]

    def id(self, kind: str) -> int | None:
        """The id of the same token."""
        found = self._found.get(kind)
        return None if found is None else found[1]
