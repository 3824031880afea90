"""Refuse a checkpoint whose config asks for what the export cannot give, with the true cause."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanbert_export.checkpoint.own_code import why_own_code
from leanbert_export.errors import CheckpointError

__all__ = ["check_architecture"]


_LANDMARKS = 64  # the default of transformers for both of Nystromformer's numbers


def check_architecture(raw: Mapping[str, Any], where: Path) -> None:
    """Check the parts of a config that decide whether the graph would compute the same.

    Args:
        raw: the content of ``config.json``.
        where: its path, for messages.

    Raises:
        CheckpointError: it is not the config of an encoder that the export can turn into a graph.
    """
    positions = raw.get("position_embedding_type")
    length = raw.get("segment_means_seq_len", _LANDMARKS)
    landmarks = raw.get("num_landmarks", _LANDMARKS)
    own_code = why_own_code(raw) if raw.get("auto_map") else None
    for wrong, reason in (
        (own_code, str(own_code)),
        (
            raw.get("quantization_config"),
            "is of a quantized checkpoint (quantization_config); export the one that it was made "
            "from",
        ),
        (
            raw.get("is_encoder_decoder"),
            "is of an encoder and a decoder (is_encoder_decoder); LeanBERT exports encoders",
        ),
        (
            raw.get("is_decoder") or raw.get("add_cross_attention"),
            "is of a decoder (is_decoder, add_cross_attention), whose tokens do not read the ones "
            "after them; LeanBERT exports encoders",
        ),
        (
            str(positions).startswith("relative_key"),
            f"asks for attention by relative position (position_embedding_type {positions!r}), "
            "which the export does not support; only absolute positions are",
        ),
        (
            raw.get("pruned_heads"),
            "names pruned_heads; save the model without them, since layers with different numbers "
            "of heads are not supported",
        ),
        (
            raw.get("attention_type") == "block_sparse",
            "asks for attention_type 'block_sparse', which the graph would compute only for short "
            "texts; set it to 'original_full'",
        ),
        (
            raw.get("model_type") == "nystromformer" and length != landmarks,
            f"asks for attention over the means of {landmarks!r} stretches (num_landmarks) of "
            f"texts of exactly {length!r} tokens (segment_means_seq_len), padding included; "
            "LeanBERT exports encoders that take texts of any length",
        ),
    ):
        if wrong:
            raise CheckpointError(f"{where}: {reason}")
    if (where.parent / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{where.parent}: holds an adapter (adapter_config.json); merge it into its model "
            "(merge_and_unload of peft), save that, and export it"
        )
