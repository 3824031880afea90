"""The training loop, with a model of a few thousand weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from leanbert_training import training
from tests.helpers.training_models import SETTINGS, network, rows


def test_it_learns_and_goes_on_where_it_stopped(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, epochs=8)
    whole = network()
    training.train(whole, tokenizer, rows(), settings, tmp_path / "whole.pt")
    logits = training.predict_logits(whole, tokenizer, ["news up", "news down", "news flat"])
    assert logits[:, 0].argmax(axis=1).tolist() == [0, 1, 2]

    state, batches = tmp_path / "halves.pt", training.batches

    def interrupted(lengths: list[int], size: int, seed: int) -> list[list[int]]:
        if seed == 3:
            raise KeyboardInterrupt
        return batches(lengths, size, seed)

    monkeypatch.setattr(training, "batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(network(), tokenizer, rows(), settings, state)
    monkeypatch.undo()
    halves = network()
    training.train(halves, tokenizer, rows(), settings, state)
    for one, other in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_it_does_not_go_on_with_other_weights_rows_or_settings(
    tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.pt"
    training.train(network(), tokenizer, rows(), SETTINGS, state)

    def shifted() -> training.TwoHeads:
        made = network()
        made.second.bias.data += 1.0
        return made

    for start, learnt, settings in (
        (network, rows()[1:], SETTINGS),
        (network, rows(), SETTINGS),
        (shifted, rows(), SETTINGS),
        (network, rows(), replace(SETTINGS, epochs=1)),
    ):
        found, fresh = start(), start()
        training.train(found, tokenizer, learnt, settings, state)
        assert "beginning anew" in capsys.readouterr().out
        training.train(fresh, tokenizer, learnt, settings, tmp_path / "other.pt")
        capsys.readouterr()
        (tmp_path / "other.pt").unlink()
        for one, other in zip(found.parameters(), fresh.parameters(), strict=True):
            torch.testing.assert_close(one, other)
    training.train(network(), tokenizer, learnt, settings, state)
    assert "resuming after epoch 1" in capsys.readouterr().out


def test_lower_layers_learn_slower() -> None:
    model = network()
    groups = list(training.parameter_groups(model, replace(SETTINGS, layer_decay=0.5)))
    names = [name for name, _ in model.named_parameters()]
    rates = dict(zip(names, (group["lr"] for group in groups), strict=True))

    assert rates["second.weight"] == rates["model.classifier.weight"] == 1e-2
    assert rates["model.bert.encoder.layer.0.output.dense.weight"] == 1e-2
    assert rates["model.bert.embeddings.word_embeddings.weight"] == 5e-3
    decays = dict(zip(names, (group["weight_decay"] for group in groups), strict=True))
    assert (decays["second.weight"], decays["second.bias"]) == (0.01, 0.0)


def test_every_row_has_one_batch() -> None:
    lengths = [i * 7 % 50 for i in range(103)]
    cut = training.batches(lengths, 8, seed=1)

    assert sorted(i for batch in cut for i in batch) == list(range(103))
    assert cut != training.batches(lengths, 8, seed=2)


def test_the_learning_rate_rises_and_then_falls_in_a_line_to_what_shall_be_left() -> None:
    rates = [training.rate_at(step, 11, 1, 0.5) for step in range(12)]
    assert rates[:3] == pytest.approx([1.0, 1.0, 0.95])
    assert rates[11] == 0.5
    whole = [training.rate_at(step, 2726, 163, 0.0) for step in range(1363)]
    half = [
        training.rate_at(step, 1363, 163, training.rate_at(1363, 2726, 163, 0.0))
        for step in range(1363)
    ]
    assert half == pytest.approx(whole)
