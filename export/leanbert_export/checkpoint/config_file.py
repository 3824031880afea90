"""Write the ``config.json`` of a bundle: the keys that transformers knows, and no others.

A checkpoint's config may hold anything, among it paths and names of the machine that it was made
on; a bundle is made to be passed on.
"""

from __future__ import annotations

import json
from pathlib import Path

from leanbert_export.checkpoint.labels import whole_number
from leanbert_export.checkpoint.loading import LoadedCheckpoint

__all__ = ["write_config"]

# Known to LeanBERT, and not to every config class of transformers.
_ALSO_KEPT = frozenset(
    {
        "architectures",
        "function_to_apply",
        "id2label",
        "label2id",
        "max_position_embeddings",
        "model_type",
        "pad_token_id",
        "problem_type",
        "return_all_scores",
        "sbert_ce_default_activation_function",
        "sentence_transformers",
        "type_vocab_size",
    }
)
_DROPPED = frozenset({"_name_or_path", "name_or_path"})  # a path, where a checkpoint is local


def write_config(loaded: LoadedCheckpoint, folder: Path) -> None:
    """Write the config of the model to a bundle's folder."""
    known = (set(type(loaded.model.config)().to_dict()) | _ALSO_KEPT) - _DROPPED
    kept = {name: value for name, value in loaded.config.items() if name in known}
    numbers = kept.get("label2id")
    if isinstance(numbers, dict):
        found = {name: whole_number(number) for name, number in numbers.items()}
        if None not in found.values():  # numbers, whatever the checkpoint wrote them as
            kept["label2id"] = found
    text = json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
