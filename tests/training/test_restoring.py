"""The weights of a bundle as a PyTorch checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from leanbert_models import default_model
from leanbert_training.evaluate import bundle_predictor, checkpoint_predictor
from leanbert_training.restoring import restore

TEXTS = [
    "Operating profit rose to EUR 13.1 mn.",
    "The retailer closes a third of its shops after another loss",
    "$ACME results are due on Thursday",
    "ok",
]


def seal() -> str:
    content = json.loads((default_model() / "leanbert.json").read_text(encoding="utf-8"))
    return str(content["sha256"])


def test_the_checkpoint_answers_as_the_bundle_does(tmp_path: Path) -> None:
    """They differ by the rounding of activations alone."""
    restore(default_model(), tmp_path, seal())
    found = checkpoint_predictor(tmp_path)(TEXTS)
    expected = bundle_predictor(default_model())(TEXTS)
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert np.abs(found - expected).mean() < 0.006


def test_another_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"sha256 {seal()}; expected 00ff"):
        restore(default_model(), tmp_path, "00ff")
    assert not list(tmp_path.iterdir())
