"""What an export compares with PyTorch's answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from leanbert.bundle import Bundle
from leanbert.engines import Batch
from leanbert_export.errors import ProofError
from leanbert_export.proof.comparison import Agreement, check_values, compare
from leanbert_export.proof.golden import make_golden
from leanbert_export.proof.reference import TorchReference
from tests.export.conftest import Workshop, load

TEXTS = ["profit rose", "sales fell a lot", "the board met on Monday"]


class Lying(TorchReference):
    """PyTorch's answers, changed by ``change``."""

    def __init__(
        self,
        honest: TorchReference,
        change: Callable[[Any], Any],
        task: str = "text-classification",
    ) -> None:
        self._honest, self._change, self.task = honest, change, task
        self.per_token = honest.per_token

    def run(self, batch: Batch) -> Any:
        return self._change(self._honest.run(batch).copy())


@pytest.fixture(scope="module")
def bundle(workshop: Workshop) -> Bundle:
    return Bundle.open(workshop.bundle("classifier"))


@pytest.fixture(scope="module")
def honest(workshop: Workshop) -> TorchReference:
    return TorchReference(load(workshop.tiny()))


@pytest.mark.slow
def test_names(bundle: Bundle, honest: TorchReference) -> None:
    other = Lying(honest, lambda logits: logits, "feature-extraction")
    with pytest.raises(ProofError, match=r"^names: the graph gives logits, PyTorch last_hidden"):
        compare(bundle, other, TEXTS)


@pytest.mark.slow
def test_shapes(bundle: Bundle, honest: TorchReference) -> None:
    lying = Lying(honest, lambda logits: logits[:, :2])
    with pytest.raises(ProofError, match=r"^shapes: logits is \(3, 3\), in PyTorch \(3, 2\)$"):
        compare(bundle, lying, TEXTS)


def _spoil(logits: Any, by: float) -> Any:
    logits[-1, 1] += by  # one value of one text
    return logits


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # inf - inf
@pytest.mark.parametrize("by", [2e-4, -0.5, np.inf, np.nan])
def test_values(bundle: Bundle, honest: TorchReference, by: float) -> None:
    check_values(compare(bundle, honest, TEXTS), quantized=False)
    found = compare(bundle, Lying(honest, lambda logits: _spoil(logits, by)), TEXTS)
    if abs(by) < 1:
        assert found.max_output_difference == pytest.approx(abs(by), abs=1e-5)
    with pytest.raises(ProofError, match=r"^values: an fp32 output is .* the graph computes"):
        check_values(found, quantized=False)


@pytest.mark.slow
def test_agreement_is_measured(bundle: Bundle, honest: TorchReference) -> None:
    found = compare(bundle, honest, TEXTS)
    assert found.rows == 3
    assert found.agreement == 1.0
    assert 0 <= found.mean_difference <= found.max_difference < 1e-5
    rolled = Lying(honest, lambda logits: np.roll(logits, 1, axis=1))
    wrong = compare(bundle, rolled, TEXTS)
    assert wrong.agreement == 0.0
    assert wrong.max_difference > wrong.mean_difference > 0.01


@pytest.mark.slow
def test_golden_bound_grows_with_the_difference(bundle: Bundle, honest: TorchReference) -> None:
    _, bounds = make_golden(bundle, honest, TEXTS)
    assert (bounds.atol, bounds.mean_atol) == (1e-4, 1e-4)
    lying = Lying(honest, lambda logits: logits + 0.25)
    golden, bounds = make_golden(bundle, lying, TEXTS)
    assert bounds.atol == pytest.approx(0.5, abs=1e-3)
    assert bounds.mean_atol == pytest.approx(0.35, abs=1e-3)
    assert len(golden) == 4
    assert golden[-1].text_pair is not None


def agreement(**values: Any) -> Agreement:
    return Agreement(**{**dict.fromkeys(Agreement.__annotations__, 0.0), "rows": 1, **values})


@pytest.mark.parametrize(("quantized", "field", "bound"), [
    (False, "max_output_difference", 1e-4),
    (True, "mean_difference", 0.05),
])  # fmt: skip
def test_bounds(quantized: bool, field: str, bound: float) -> None:
    check_values(agreement(**{field: bound}), quantized=quantized)
    for value in (bound * 1.01, float("inf"), float("nan")):
        with pytest.raises(ProofError, match=r"^values: "):
            check_values(agreement(**{field: value}), quantized=quantized)
    check_values(agreement(**{field: 1e9}), quantized=not quantized)
