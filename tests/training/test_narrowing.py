"""Which neurons are cut, and what is left of the network."""

from __future__ import annotations

import random

import pytest
import torch

from leanbert_training import narrowing

IDS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])


def test_neurons_without_effect_are_the_first_to_go(classifier: object) -> None:
    """Half of the neurons write nothing: a model of half the width gives the same logits."""
    rng = random.Random(0)
    model: object = classifier
    kept = []
    for layer in model.bert.encoder.layer:  # type: ignore[attr-defined]
        silent = rng.sample(range(64), 32)
        layer.output.dense.weight.data[:, silent] = 0.0
        layer.output.dense.weight.data *= 20  # initial weights are tiny
        kept.append(sorted(set(range(64)) - set(silent)))
    losses = (
        torch.nn.functional.cross_entropy(model(IDS).logits, torch.tensor([0, 2]))  # type: ignore[operator]
        for _ in range(2)
    )
    scores = narrowing.importance(model, losses)
    with torch.inference_mode():
        before = model(IDS).logits  # type: ignore[operator]
    narrowing.narrow(model, scores, 32)
    with torch.inference_mode():
        after = model(IDS).logits  # type: ignore[operator]

    assert [sorted(torch.topk(score, 32).indices.tolist()) for score in scores] == kept
    assert model.config.intermediate_size == 32  # type: ignore[attr-defined]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_an_impossible_width(classifier: object) -> None:
    with pytest.raises(ValueError, match="width is 65; expected 1 to 64"):
        narrowing.narrow(classifier, [torch.ones(64)] * 2, 65)
