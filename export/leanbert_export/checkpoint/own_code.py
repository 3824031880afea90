"""Checkpoints that bring code of their own (``auto_map``): which transformers computes without it.

That code is never run. Where transformers has taken a family over into a class of its own, that
class is described and judges as for any checkpoint. It reads other keys of the config than the
code does, though, so here every key of the config is one that the class knows, or says what the
class does anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["why_own_code"]

_SAME_AS = {
    "layer_norm_epsilon": "layer_norm_eps",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "rotary_emb_base": "rope_theta",
}
"""Keys of NomicBERT's code, by what transformers' class calls the same."""

_ONLY: Mapping[str, tuple[Any, ...]] = {
    "activation_function": ("swiglu",),
    "causal": (False,),
    "mlp_fc1_bias": (False,),
    "mlp_fc2_bias": (False,),
    "parallel_block": (False,),
    "parallel_block_tied_norm": (False,),
    "prenorm": (False,),
    "qkv_proj_bias": (False,),
    "rotary_emb_fraction": (1,),
    "rotary_emb_interleaved": (False,),
    "rotary_emb_scale_base": (None,),
    "rotary_scaling_factor": (None,),
    "use_rms_norm": (False, None),
}
"""Keys of NomicBERT's code, by the values for which transformers' class computes the same."""

_NO_MATTER = frozenset(
    {
        "_name_or_path", "attn_pdrop", "auto_map", "dense_seq_output", "embd_pdrop",
        "function_to_apply", "fused_bias_fc", "fused_dropout_add_ln", "last_layer_subset",
        "max_trained_positions", "n_positions", "pad_vocab_size_multiple",
        "reorder_and_upcast_attn", "resid_pdrop", "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights", "sentence_transformers", "summary_activation",
        "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
        "torch_dtype", "use_cache", "use_flash_attn", "use_xentropy",
    }
)  # fmt: skip
"""Keys about training, speed and length, and those that are checked in their own way."""


def why_own_code(raw: Mapping[str, Any]) -> str | None:
    """Why a config with ``auto_map`` needs that code, as a clause; ``None`` if it does not.

    Args:
        raw: the content of ``config.json``.
    """
    reason = _why(raw, str(raw.get("model_type")))
    if reason is None:
        return None
    return f"needs its own code (auto_map), which is never run{reason}"


def _why(raw: Mapping[str, Any], family: str) -> str | None:
    """What follows in the message."""
    if family == "new":
        return (
            ", and transformers has no class for model_type 'new'; take a checkpoint that was "
            "converted to transformers' own GTE (model_type 'gte')"
        )
    if family != "nomic_bert":
        return ""
    import transformers

    if family not in transformers.CONFIG_MAPPING:
        version = transformers.__version__
        return f", and transformers {version} has no class for NomicBERT; newer ones have"
    for name in raw.get("architectures") or []:
        if not hasattr(transformers, str(name)):
            return f", and transformers has no class {name}"
    own = transformers.CONFIG_MAPPING[family]
    config = own.from_dict(dict(raw))
    says: dict[str, Any] = config.to_dict()
    says["rope_theta"] = config.rope_parameters["rope_theta"]
    known = set(own().to_dict()) | _NO_MATTER
    for key, value in raw.items():
        if key in _SAME_AS:
            name = _SAME_AS[key]
            if value is not None and value != says[name]:
                return f": {key} {value!r} is {name} {says[name]!r} in transformers"
        elif value not in _ONLY[key] if key in _ONLY else key not in known:
            return f": {key} {value!r} is not what transformers' {own.__name__} computes"
    return None
