"""How much a model computes for a shape, from which the machine's limit is derived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HIDDEN = ("hidden_size", "dim", "d_model")
_INTERMEDIATE = ("intermediate_size", "hidden_dim")
_LAYERS = ("num_hidden_layers", "n_layers", "num_layers")


def operations(config: Mapping[str, Any], batch_size: int, seq_len: int) -> dict[str, int] | None:
    """Count the operations of one forward pass of a BERT-like encoder; a multiply-add is two.

    The linear layers are four matmuls of ``hidden x hidden`` and two of ``hidden x intermediate``
    per layer and token, and the pooler's per text. Attention is two matmuls per layer, for each
    pair of tokens. Embeddings, norms and the head are below 1% and are left out.

    Args:
        config: Hugging Face's.
        batch_size: texts.
        seq_len: tokens of each.

    Returns:
        ``linear`` and ``attention`` operations, and the bytes of the weights that are read, as int8
        and as fp32; ``None`` where the config does not say.
    """
    hidden, intermediate, layers = (_first(config, k) for k in (_HIDDEN, _INTERMEDIATE, _LAYERS))
    if hidden is None or intermediate is None or layers is None:
        return None
    weights = layers * (4 * hidden**2 + 2 * hidden * intermediate)
    pooler = hidden**2
    return {
        "linear": 2 * batch_size * (seq_len * weights + pooler),
        "attention": 4 * layers * batch_size * seq_len**2 * hidden,
        "weight_bytes_int8": weights + pooler,
        "weight_bytes_fp32": 4 * (weights + pooler),
    }


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((int(config[key]) for key in keys if isinstance(config.get(key), int)), None)
