"""What a directory of sentence-transformers says of the vectors that its model gives.

What LeanBERT would drop is refused by the runtime's own check
(:mod:`leanbert.bundle.sentence_transformers`). The rest is recorded on the card, so that a user can
ask for the vectors of ``SentenceTransformer.encode``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanbert.bundle.reading import read_json, read_json_value
from leanbert.bundle.sentence_transformers import check_modules
from leanbert.errors import BundleError
from leanbert_export.errors import CheckpointError

__all__ = ["SentenceModules", "read_modules"]


@dataclass(frozen=True)
class SentenceModules:
    """What follows the encoder in a directory of sentence-transformers."""

    max_seq_length: int | None
    """Longest text in tokens; ``None`` if the directory does not say."""
    normalize: bool
    """Whether the vectors are divided by their length."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Texts that ``encode(prompt_name=…)`` puts first; LeanBERT does not."""

    @property
    def line(self) -> str:
        """The card's line on how to get the vectors of ``encode``."""
        arguments = 'pooling="mean"' + (", normalize=True" * self.normalize)
        line = f"as encode() of sentence-transformers with {arguments}"
        if self.max_seq_length is not None:
            line += f", up to {self.max_seq_length} tokens"
        if self.prompts:
            texts = ", ".join(f"{name} {text!r}" for name, text in self.prompts.items())
            line += f"; put its prompts before the texts yourself: {texts}"
        return line


def read_modules(folder: Path) -> SentenceModules | None:
    """Read what follows the encoder; ``None`` if the directory is not of sentence-transformers.

    Raises:
        CheckpointError: a file cannot be read, or asks for what LeanBERT does not do.
    """
    path, settings = folder / "modules.json", folder / "config_sentence_transformers.json"
    if not path.is_file():
        return None
    try:
        longest = check_modules(folder)
        modules: Any = read_json_value(path)
        prompts = read_json(settings).get("prompts") if settings.is_file() else None
    except BundleError as error:
        raise CheckpointError(str(error)) from error
    kinds = [str(module["type"]) for module in modules]  # `check_modules` knows that they are there
    return SentenceModules(
        longest,
        any(kind.endswith("Normalize") for kind in kinds),
        {
            str(name): text
            for name, text in (prompts.items() if isinstance(prompts, dict) else ())
            if isinstance(text, str) and text
        },
    )
