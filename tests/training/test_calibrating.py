"""Temperature, narrowing, training rows, templates and augmentation of the recipe."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "train"))

import augmenting
import calibrating
import evaluate
import narrowing
import negations
import templates


def drawn(temperature: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``temperature`` times too sure of labels drawn from them."""
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(rows, 3)) * 1.5
    chances = calibrating.softmax(honest)
    labels = (chances.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return honest * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)

    found = calibrating.fit_temperature(logits, labels)

    assert found == pytest.approx(temperature, rel=0.08)
    if temperature == 2.5:
        before = evaluate.calibration_error(calibrating.softmax(logits), labels)
        after = evaluate.calibration_error(calibrating.softmax(logits / found), labels)
        assert after < 0.03 < before


def test_no_rows_no_temperature() -> None:
    with pytest.raises(ValueError, match="no rows"):
        calibrating.fit_temperature(np.empty((0, 3)), np.empty(0, dtype=np.int64))


def test_the_divergence_of_two_distributions() -> None:
    one, other = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.75, 0.0]])

    assert calibrating.divergence(one, one) == 0
    assert calibrating.divergence(one, other) == pytest.approx(0.5 * np.log(2) - 0.5 * np.log(1.5))


@pytest.fixture
def classifier() -> object:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.BertForSequenceClassification(config).eval()


IDS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])


def test_a_folded_temperature_divides_the_logits(classifier: object) -> None:
    with torch.inference_mode():
        before = classifier(IDS).logits  # type: ignore[operator]
        calibrating.fold_temperature(classifier, 1.6)
        after = classifier(IDS).logits  # type: ignore[operator]

    torch.testing.assert_close(after, before / 1.6)


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


def test_own_sentences_are_seeded_and_of_every_label() -> None:
    rows = templates.generate(300, seed=1)

    assert rows == templates.generate(300, seed=1) != templates.generate(300, seed=2)
    assert [sum(label == i for _, label in rows) for i in range(3)] == [100, 100, 100]
    assert not any("{" in text for text, _ in rows)
    measured = {text for text, _ in negations.sentences()}
    assert len(measured) == 60
    assert not measured & {text for text, _ in templates.generate(5000)}


def test_links_leave_and_tickers_change_together() -> None:
    text = "$AAPL up: why $AAPL beats $MSFT https://t.example/abc"

    assert augmenting.without_links(text) == "$AAPL up: why $AAPL beats $MSFT"
    assert augmenting.without_links("https://t.example/abc") == "https://t.example/abc"
    assert augmenting.cashtags([text, "no $tag, $100"]) == ["$AAPL", "$MSFT"]
    swapped = augmenting.swap_tickers(text, ["$AB", "$CD", "$EF"], random.Random(3))
    first, second, third = (word for word in swapped.split() if word.startswith("$"))
    assert first == second
    assert {first, third} <= {"$AB", "$CD", "$EF"}


def test_names_change_whole() -> None:
    text = "Apple sues Coca-Cola; Applebee's is not Apple"
    swapped = augmenting.swap_names(text, random.Random(0))

    assert "Applebee's" in swapped
    assert "Coca-Cola" not in swapped
    first, last = swapped.split(" sues ")[0], swapped.split(" is not ")[1]
    assert first == last


def test_augmentation_is_the_generators_alone() -> None:
    text = "$AAPL: Apple beats https://t.example/abc"
    one = [augmenting.augment(text, ["$AB"], random.Random(5), links=True) for _ in range(2)]

    assert one[0] == one[1]
    kept = augmenting.augment(text, ["$AB"], random.Random(5), links=True, swaps=0.0)
    assert kept == text
    assert (
        len(
            {
                augmenting.augment(text, ["$AB"], random.Random(i), links=i % 2 == 0)
                for i in range(30)
            }
        )
        > 3
    )
