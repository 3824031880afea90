"""A bundle's weights come back as a checkpoint that answers alike."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "train"))

import restoring
from evaluate import bundle_predictor
from leanbert_models import default_model

TEXTS = [
    "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn.",
    "$ABC downgraded at Harlow Industries",
    "The company will publish its results on Thursday.",
    "Sales fell, costs rose, and the firm cut 400 jobs.",
]


def empty_model(**changes: int) -> transformers.BertForSequenceClassification:
    config = transformers.AutoConfig.from_pretrained(default_model())
    config.update(changes)
    return transformers.BertForSequenceClassification(config).eval()


def test_the_embedded_model_comes_back() -> None:
    model = empty_model()
    restoring.restore(model, default_model())
    tokenizer = transformers.AutoTokenizer.from_pretrained(default_model())
    with torch.inference_mode():
        inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
        found = torch.softmax(model(**inputs).logits, dim=-1).numpy()

    expected = bundle_predictor(default_model())(TEXTS)
    assert np.abs(found - expected).max() < 0.05  # activations are int8 in the bundle alone
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected \\(64, 384\\)"):
        restoring.restore(empty_model(intermediate_size=64), default_model())


def test_a_bundle_without_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(default_model(), folder)
    manifest = json.loads((folder / "leanbert.json").read_text(encoding="utf-8"))
    del manifest["native"]
    (folder / "leanbert.json").write_text(json.dumps(manifest), encoding="utf-8")

    with pytest.raises(ValueError, match="no native table"):
        restoring.restore(empty_model(), folder)
