"""Cut the feed-forward layers to their most important neurons.

The importance of a neuron is the sum over tokens of |activation x gradient|, the first-order
estimate of how much the loss changes without it (arXiv 1905.10650 does the same to heads).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

Loss = torch.Tensor


def importance(model: Any, losses: Iterable[Loss]) -> list[torch.Tensor]:
    """The importance of each feed-forward neuron.

    Args:
        model: the BERT classifier.
        losses: the loss of each batch; it is computed with ``model`` when it is asked for.

    Returns:
        One vector per layer, *shape* ``(intermediate_size,)``.
    """
    layers = model.bert.encoder.layer
    scores = [torch.zeros(model.config.intermediate_size) for _ in layers]
    seen: dict[int, torch.Tensor] = {}

    def watch(index: int) -> Any:
        def hook(_: Any, __: Any, output: torch.Tensor) -> None:
            output.retain_grad()
            seen[index] = output

        return hook

    handles = [layer.intermediate.register_forward_hook(watch(i)) for i, layer in enumerate(layers)]
    try:
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call]
            for index, output in seen.items():
                gradient: Any = output.grad
                effect = (output.detach().float() * gradient.float()).abs()
                scores[index] += effect.flatten(0, -2).sum(dim=0)
            model.zero_grad()
    finally:
        for handle in handles:
            handle.remove()
    return scores


def narrow(model: Any, scores: list[torch.Tensor], width: int) -> None:
    """Keep the ``width`` most important neurons of each layer, in their order. Changes ``model``.

    Raises:
        ValueError: ``width`` is below 1 or above the present width.
    """
    if not 1 <= width <= model.config.intermediate_size:
        raise ValueError(f"width is {width}; expected 1 to {model.config.intermediate_size}")
    for layer, score in zip(model.bert.encoder.layer, scores, strict=True):
        kept = torch.topk(score, width).indices.sort().values
        up, down = layer.intermediate.dense, layer.output.dense
        up.weight = torch.nn.Parameter(up.weight.data[kept].clone())
        up.bias = torch.nn.Parameter(up.bias.data[kept].clone())
        down.weight = torch.nn.Parameter(down.weight.data[:, kept].clone())
        up.out_features = down.in_features = width
    model.config.intermediate_size = width
