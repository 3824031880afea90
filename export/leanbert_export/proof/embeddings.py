"""Prove that a bundle makes the embeddings of a sentence-transformers directory as PyTorch does.

The tokens' vectors are compared elsewhere; here both start from PyTorch's, so that what is left is
the pooling, the layers and the weights that the bundle got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from leanbert.bundle import Bundle
from leanbert.bundle.sentence_transformers import Step
from leanbert.pipelines.embeddings import Embedder
from leanbert.tokenization import TextInput
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.checkpoint.sentence_transformers import read_layer
from leanbert_export.errors import ProofError

__all__ = ["check_embeddings"]

_TEXTS = 8
_ATOL = 1e-4
_POOLED: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "cls": lambda hidden: hidden[0],
    "lasttoken": lambda hidden: hidden[-1],
    "max": lambda hidden: hidden.max(dim=0).values,
    "mean": lambda hidden: hidden.mean(dim=0),
    "mean_sqrt_len_tokens": lambda hidden: hidden.sum(dim=0) / len(hidden) ** 0.5,
    "weightedmean": lambda hidden: (
        torch.linspace(1, len(hidden), len(hidden)) @ hidden / (len(hidden) * (len(hidden) + 1) / 2)
    ),
}
_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "none": lambda x: x,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def check_embeddings(bundle: Bundle, loaded: LoadedCheckpoint, texts: Sequence[TextInput]) -> int:
    """Compare the embeddings of a few texts with PyTorch's; nothing where there are none.

    Returns:
        How many texts were compared.

    Raises:
        ProofError: an embedding is another one.
    """
    modules = bundle.sentence_modules()
    if modules is None or not modules.pooling:
        return 0
    embedder, layers = Embedder(bundle, modules), loaded.checkpoint.layers
    weights = [read_layer(layers[step.weights]) if step.weights else {} for step in modules.steps]
    compared = [text for text in texts if text][:_TEXTS]
    for text in compared:
        pair = (text,) if isinstance(text, str) else text
        inputs = loaded.tokenizer(
            *pair, truncation=True, max_length=bundle.max_length, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = loaded.model(**inputs).last_hidden_state[0]
            wanted = torch.cat([_POOLED[mode](hidden) for mode in modules.pooling])
            for step, tensors in zip(modules.steps, weights, strict=True):
                wanted = _step(step, tensors, wanted)
        found = embedder.embed(hidden.numpy(), 0)
        largest = float(np.abs(found - wanted.numpy()).max()) if found.shape == wanted.shape else 9
        if not largest <= _ATOL * max(1.0, float(wanted.abs().max())):
            raise ProofError(
                f"embeddings: that of {pair[0][:30]!r} is {largest:.3g} away from PyTorch's after "
                f"{modules.line}"
            )
    return len(compared)


def _step(step: Step, tensors: Mapping[str, Any], vector: torch.Tensor) -> torch.Tensor:
    functional = torch.nn.functional
    if step.kind == "Normalize":
        return functional.normalize(vector, dim=0)
    if step.kind == "LayerNorm":
        weight, bias = tensors["norm.weight"], tensors["norm.bias"]
        return functional.layer_norm(vector, weight.shape, weight, bias)
    found = functional.linear(vector, tensors["linear.weight"], tensors.get("linear.bias"))
    found = _ACTIVATIONS[step.activation](found)
    if not step.residual:
        return found
    projection = tensors.get("residual.weight")
    return found + (vector if projection is None else projection @ vector)
