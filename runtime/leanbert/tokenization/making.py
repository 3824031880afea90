"""The tokenizers library's tokenizer of a bundle, with its limits fixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leanbert.errors import BundleCorruptError
from leanbert.tokenization.failures import failure
from leanbert.tokenization.settings import configure, side_of

if TYPE_CHECKING:
    import tokenizers

__all__ = ["Made", "make_tokenizer"]


class Made(NamedTuple):
    """A tokenizer, and what its files say of sides."""

    base: tokenizers.Tokenizer
    """It cuts and does not pad; to be read and never set."""
    padding_side: str
    """The side that transformers pads, which for pairs also says what is asked first."""
    truncation_side: str
    """The side of a long text that is cut off."""


def make_tokenizer(
    path: Path, content: bytes, settings: Mapping[str, Any], max_length: int
) -> Made:
    """Make a tokenizer of the content of its file.

    Args:
        path: the ``tokenizer.json``, for messages.
        content: of the file, checked.
        settings: what the files beside it say; see
            :func:`leanbert.tokenization.settings.read_settings`.
        max_length: longest input in tokens, special tokens included.

    Raises:
        BundleCorruptError: it is not a tokenizer, or the settings contradict it.
    """
    import tokenizers  # late: few texts need it where the native library tokenizes

    try:
        base = tokenizers.Tokenizer.from_buffer(content)
    except BaseException as error:
        reason = failure(error)
        if reason is None:
            raise
        raise BundleCorruptError(
            f"{path}: not a tokenizer ({reason}); export the bundle again"
        ) from error
    configure(base, settings)
    padding_side = side_of(settings, "padding_side", base.padding)
    truncation_side = side_of(settings, "truncation_side", base.truncation)
    base.no_padding()  # files from sentence-transformers come with fixed padding
    base.enable_truncation(max_length, direction=truncation_side)
    return Made(base, padding_side, truncation_side)
