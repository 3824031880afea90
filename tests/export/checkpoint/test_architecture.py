"""Configs that ask for what a graph would not give are refused with the true cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.errors import CheckpointError
from tests.export.test_failures import edit_config


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"is_decoder": True}, "is of a decoder (is_decoder, add_cross_attention)"),
        ({"add_cross_attention": True}, "is of a decoder (is_decoder, add_cross_attention)"),
        ({"is_encoder_decoder": True}, "is of an encoder and a decoder"),
        ({"position_embedding_type": "relative_key"}, "(position_embedding_type 'relative_key')"),
        (
            {"position_embedding_type": "relative_key_query"},
            "(position_embedding_type 'relative_key_query')",
        ),
        ({"quantization_config": {"load_in_8bit": True}}, "is of a quantized checkpoint"),
        ({"pruned_heads": {"0": [1]}}, "names pruned_heads"),
        ({"attention_type": "block_sparse"}, "asks for attention_type 'block_sparse'"),
        ({"auto_map": {"AutoModel": "a.B"}}, "needs its own code (auto_map)"),
        (
            {"auto_map": {"AutoModel": "a.B"}, "model_type": "new"},
            "transformers has no class for model_type 'new'; take a checkpoint that was converted",
        ),
        ({"architectures": ["BertLMHeadModel"]}, "architecture BertLMHeadModel; LeanBERT exports"),
    ],
)
def test_the_cause_is_named(checkpoint_copy: Path, change: dict[str, Any], cause: str) -> None:
    edit_config(checkpoint_copy, **change)
    with pytest.raises(CheckpointError) as caught:
        find_checkpoint(str(checkpoint_copy), revision=None, task=None)
    assert cause in str(caught.value)
    assert str(caught.value).startswith(f"{checkpoint_copy / 'config.json'}: ")


def test_an_adapter(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match="holds an adapter"):
        find_checkpoint(str(checkpoint_copy), revision=None, task=None)


@pytest.mark.parametrize(
    "same", [{"is_decoder": False}, {"position_embedding_type": "absolute"}, {"pruned_heads": {}}]
)
def test_what_changes_nothing_passes(checkpoint_copy: Path, same: dict[str, Any]) -> None:
    edit_config(checkpoint_copy, **same)
    assert find_checkpoint(str(checkpoint_copy), revision=None, task=None).num_layers == 2
