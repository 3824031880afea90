"""Labels are those of the checkpoint: their number, their names and their order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from leanbert import pipeline
from leanbert.cli import main
from leanbert.errors import LeanBertWarning
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.labels import check_labels
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import export
from leanbert_export.samples import sample_texts
from tests.export.conftest import Workshop, load
from tests.helpers.sentences import split_sentences

TONE = {0: "Neutral", 1: "Positive", 2: "Negative"}
"""The order of yiyanghkust/finbert-tone, which is not that of ProsusAI/finbert."""


def relabel(folder: Path, labels: dict[int, str]) -> Path:
    path = folder / "config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    config["id2label"] = {str(i): label for i, label in labels.items()}
    config["label2id"] = {label: i for i, label in labels.items()}
    path.write_text(json.dumps(config))
    return folder


def check(folder: Path, task: str | None = None) -> None:
    check_labels(find_checkpoint(str(folder), revision=None, task=task))


def test_another_number_of_labels(checkpoint_copy: Path, tmp_path: Path) -> None:
    check(checkpoint_copy)
    relabel(checkpoint_copy, {0: "up", 1: "down"})
    with pytest.raises(CheckpointError) as caught:
        export(str(checkpoint_copy), tmp_path / "out")
    assert "names 2 labels (up, down), but classifier.weight gives 3 outputs" in str(caught.value)
    assert not (tmp_path / "out").exists()


NAMED = {"positive": 0, "negative": 1, "neutral": 2}


def number(folder: Path, numbers: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "label2id": numbers}))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (["positive"], "label2id must map names to numbers"),
        ({"positive": 0.5}, "label2id says 0.5 of 'positive'; expected a whole number"),
        ({"positive": True}, "label2id says True of 'positive'; expected a whole number"),
        ({"positive": None}, "label2id says None of 'positive'; expected a whole number"),
        ({"0": "positive"}, "label2id says 'positive' of '0'; expected a whole number"),
        (
            {**NAMED, "mixed": 3},
            "label2id says 3 of 'mixed', but the labels are numbered from 0 to",
        ),
        ({**NAMED, "mixed": 1}, "id2label calls label 1 'negative', label2id 'mixed'"),
    ],
)
def test_numbers_that_make_no_sense(checkpoint_copy: Path, numbers: object, said: str) -> None:
    number(checkpoint_copy, numbers)
    with pytest.raises(CheckpointError) as caught:
        check(checkpoint_copy)
    assert said in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("form", [str, float])
def test_numbers_of_another_type(checkpoint_copy: Path, tmp_path: Path, form: Any) -> None:
    number(checkpoint_copy, {name: form(i) for name, i in NAMED.items()})
    texts = list(sample_texts()[::20])
    report = export(str(checkpoint_copy), tmp_path / "out", recipe="fp32", texts=texts)
    written = json.loads((report.path / "config.json").read_text())
    assert written["label2id"] == NAMED
    assert all(type(i) is int for i in written["label2id"].values())


def test_labels_without_names(checkpoint_copy: Path) -> None:
    relabel(checkpoint_copy, {i: f"LABEL_{i}" for i in range(3)})
    with pytest.warns(LeanBertWarning, match="LABEL_0, LABEL_1, LABEL_2"):
        check(checkpoint_copy)
    relabel(checkpoint_copy, {0: "LABEL_0", 1: "LABEL_1", 2: "other"})
    check(checkpoint_copy)


def test_a_single_score_needs_no_name(workshop: Workshop, tmp_path: Path) -> None:
    folder = shutil.copytree(workshop.tiny("one-label"), tmp_path / "checkpoint")
    check(relabel(folder, {0: "LABEL_0"}))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_every_familys_head_is_found(families: Any, tmp_path: Path, task: str) -> None:
    from tests.helpers.families import FAMILIES

    for family in FAMILIES:
        folder = Path(shutil.copytree(families.checkpoint(family, task), tmp_path / family))
        load(folder, task)
        with pytest.raises(CheckpointError, match=r"id2label names 2 labels \(a, b\), but "):
            load(relabel(folder, {0: "a", 1: "b"}), task)


@pytest.mark.slow
def test_an_order_of_its_own(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variant like finbert-tone: everything goes by the labels' names."""
    folder = relabel(Path(shutil.copytree(workshop.tiny(), tmp_path / "tone")), TONE)
    made = export(str(folder), tmp_path / "bundle", recipe="fp32", texts=sample_texts()[::8])
    assert main(["info", str(made.path)]) == 0
    assert "0 Neutral, 1 Positive, 2 Negative" in capsys.readouterr().out

    text = " ".join(sample_texts()[:4])
    sentences = split_sentences(text)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        inputs = tokenizer(sentences, padding=True, return_tensors="pt")
        wanted = model(**inputs).logits.softmax(dim=1).numpy()
    found = pipeline(model=made.path).document(text)
    assert [part["text"] for part in found["sentences"]] == sentences
    for part, row in zip(found["sentences"], wanted, strict=True):
        assert list(part["scores"]) == list(TONE.values())
        np.testing.assert_allclose(list(part["scores"].values()), row, atol=1e-4)
        assert part["label"] == TONE[int(row.argmax())]
        assert part["sentiment_score"] == pytest.approx(row[1] - row[2], abs=1e-4)
    mean = float((wanted[:, 1] - wanted[:, 2]).mean())
    assert abs(mean) > 1e-3
    assert found["sentiment_score"] == pytest.approx(mean, abs=1e-4)
