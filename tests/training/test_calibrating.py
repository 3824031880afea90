"""The temperature of a classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leanbert_bench.metrics import calibration_error
from leanbert_training import calibrating


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
        before = calibration_error(calibrating.softmax(logits), labels)
        after = calibration_error(calibrating.softmax(logits / found), labels)
        assert after < 0.03 < before


def test_no_rows_no_temperature() -> None:
    none = np.empty((0, 3)), np.empty(0, dtype=np.int64)
    with pytest.raises(ValueError, match="no rows"):
        calibrating.fit_temperature(*none)
    with pytest.raises(ValueError, match="no rows"):
        calibrating.fit_scaling(*none, np.empty(0))


def test_temperature_and_bias_are_found() -> None:
    logits, labels = drawn(1.0, rows=8000)
    shifted = (logits - np.array([0.6, -0.1, -0.5])) * 1.5

    temperature, bias = calibrating.fit_scaling(shifted, labels, np.ones(len(labels)))

    assert temperature == pytest.approx(1.5, rel=0.08)
    assert bias == pytest.approx([0.6, -0.1, -0.5], abs=0.08)


def test_rows_without_weight_do_not_count_for_the_bias() -> None:
    logits, labels = drawn(1.0)
    wrong = (labels + 1) % 3
    both, weights = np.concatenate([labels, wrong]), np.repeat([1.0, 0.0], len(labels))

    alone = calibrating.fit_scaling(logits, labels, np.ones(len(labels)))
    found = calibrating.fit_scaling(np.concatenate([logits, logits]), both, weights)

    assert found[0] == pytest.approx(alone[0])
    assert found[1] == pytest.approx(alone[1])


def test_answers_that_are_all_right_have_no_temperature() -> None:
    labels = np.arange(3)
    with pytest.raises(ValueError, match="fits the 3 rows"):
        calibrating.fit_scaling(np.eye(3), labels, np.ones(3))


def test_a_folded_bias_is_added_to_the_logits(classifier: object) -> None:
    ids = torch.tensor([[1, 2, 3, 4]])
    bias = np.array([0.5, -0.25, -0.25])
    with torch.inference_mode():
        before = classifier(ids).logits  # type: ignore[operator]
        calibrating.fold_bias(classifier, bias)
        after = classifier(ids).logits  # type: ignore[operator]

    torch.testing.assert_close(after, before + torch.tensor(bias, dtype=torch.float32))


def test_the_divergence_of_two_distributions() -> None:
    one, other = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.75, 0.0]])

    assert calibrating.divergence(one, one) == 0
    assert calibrating.divergence(one, other) == pytest.approx(0.5 * np.log(2) - 0.5 * np.log(1.5))


def test_a_folded_temperature_divides_the_logits(classifier: object) -> None:
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    with torch.inference_mode():
        before = classifier(ids).logits  # type: ignore[operator]
        calibrating.fold_temperature(classifier, 1.6)
        after = classifier(ids).logits  # type: ignore[operator]

    torch.testing.assert_close(after, before / 1.6)
