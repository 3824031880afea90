"""Token ids that all engines are given alike: of texts, or random ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leanbert.bundle.config import ModelConfig, parse_config
from leanbert.bundle.reading import read_json
from leanbert.engines import Batch
from leanbert.engines.padding import ModelInputs
from leanbert.errors import InputError
from leanbert.tokenization import Tokenizer

_LONGEST = 512


def read_config(folder: Path) -> ModelConfig:
    """The ``config.json`` of a checkpoint or bundle.

    Raises:
        LeanBertError: it is missing or malformed.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: has no config.json; give a model directory")
    return parse_config(read_json(path), path)


def vocabulary_size(config: ModelConfig) -> int:
    """How many token ids the model knows.

    Raises:
        InputError: its config does not say.
    """
    size = config.raw.get("vocab_size")
    if not isinstance(size, int):
        raise InputError("config.json has no vocab_size; export the checkpoint again")
    return size


def tokenizer(checkpoint: Path) -> Tokenizer:
    """A checkpoint's own tokenizer, which cuts at the model's length or 512.

    Raises:
        LeanBertError: the checkpoint has no such tokenizer.
    """
    path = checkpoint / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{path}: missing; save the checkpoint's fast tokenizer there")
    config = read_config(checkpoint)
    longest = min(_LONGEST, config.max_tokens or _LONGEST)
    return Tokenizer(path, longest)


def tokenize(checkpoint: Path, texts: Sequence[str]) -> Batch:
    """The ids of the texts by :func:`tokenizer`.

    Raises:
        LeanBertError: as there.
    """
    return tokenizer(checkpoint).encode(texts, truncation=True)


def write_tokens(path: Path, tokens: Batch) -> Path:
    """Keep the ids of single texts in an ``.npz`` file."""
    np.savez(
        path,
        ids=tokens.input_ids,
        lengths=tokens.lengths,
    )
    return path


def read_tokens(path: Path) -> Batch:
    """Read what :func:`write_tokens` kept."""
    with np.load(path) as kept:
        return Batch(kept["ids"], np.zeros_like(kept["ids"]), kept["lengths"])


def random_inputs(rows: int, length: int, vocabulary: int) -> ModelInputs:
    """Seeded ids without padding.

    *Shape:* each ``(rows, length)`` int64.
    """
    low = min(1000, vocabulary // 2)  # below are special and unused tokens
    ids = np.random.default_rng(0).integers(low, vocabulary, (rows, length), dtype=np.int64)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
