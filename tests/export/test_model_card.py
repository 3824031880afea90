"""The model card: what the hub reads at its head, and what a person reads below."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from leanbert.bundle import Bundle
from leanbert.errors import BundleError
from leanbert_export.model_card import CARD, write_model_card
from leanbert_export.writing import amend_manifest
from tests.export.conftest import Workshop

GATE = {"metric": "accuracy", "rows": 200, "fp32": 0.875, "int8": 0.86}
CONTENT: dict[str, Any] = {
    "task": "text-classification",
    "source": {
        "model": "ProsusAI/finbert",
        "revision": "4556d13015211d73dccd3fdd39d39232506f3e43",
        "weights_sha256": "0" * 64,
        "license": "apache-2.0",
        "base_model": "bert-base-uncased",
    },
    "recipe": {"name": "int8", "gate": GATE},
    "max_length": 512,
    "golden": {"texts": [1, 2]},
    "evidence": [
        {
            "dataset": "news.csv, held back from calibration",
            "rows": 200,
            "max_output_difference": 0.2,
            "mean_difference": 0.00123456,
            "max_difference": 0.05,
            "agreement": 0.995,
        }
    ],
    "card": {"labels": "0 up, 1 down | other", "accuracy gate": "passed"},
    "versions": {"leanbert": "0.1.0"},
}


def card(folder: Path, **changes: Any) -> tuple[dict[str, Any], str]:
    """The metadata and the text."""
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    write_model_card(folder, {**CONTENT, **changes})
    text = (folder / CARD).read_text(encoding="utf-8")
    assert text.startswith("---\n")
    head, body = text[4:].split("\n---\n", 1)
    return yaml.safe_load(head), body


def test_what_the_hub_reads(tmp_path: Path) -> None:
    head, _ = card(tmp_path)
    results = head.pop("model-index")
    assert head == {
        "library_name": "leanbert",
        "pipeline_tag": "text-classification",
        "license": "apache-2.0",
        "base_model": "ProsusAI/finbert",
        "base_model_relation": "quantized",
        "tags": ["leanbert", "onnx", "int8", "bert"],
        "metrics": ["accuracy"],
    }
    assert results[0]["name"] == "ProsusAI/finbert"
    [result] = results[0]["results"]
    assert result["task"] == {"type": "text-classification"}
    assert result["dataset"]["name"] == "news.csv, held back from calibration"
    assert result["dataset"]["type"] == "news-csv-held-back-from-calibration"
    found = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert found == {
        "accuracy": 0.86,
        "agreement": 0.995,
        "mean_difference": 0.001235,
        "max_difference": 0.05,
    }


def test_the_hubs_own_reader(tmp_path: Path) -> None:
    card(tmp_path)
    read = ModelCard.load(tmp_path / CARD).data
    assert (read.library_name, read.license) == ("leanbert", "apache-2.0")
    assert [result.metric_type for result in read.eval_results or []] == [
        "accuracy",
        "agreement",
        "mean_difference",
        "max_difference",
    ]


def test_what_a_person_reads(tmp_path: Path) -> None:
    _, text = card(tmp_path)
    assert "# ProsusAI/finbert, int8, for LeanBERT" in text
    assert "`ProsusAI/finbert` at revision `4556d13015211d73dccd3fdd39d39232506f3e43`" in text
    assert "exported by LeanBERT 0.1.0" in text
    assert "| labels | 0 up, 1 down \\| other |" in text
    assert "| news.csv, held back from calibration | 200 | accuracy | 0.86 |" in text


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ({"license": "not stated"}, {}),
        ({"license": "two lines of law", "base_model": "see: the paper"}, {}),
        ({"license": "mit", "base_model": "a/b"}, {"license": "mit", "base_model": "a/b"}),
        (
            {"license": "mit, gpl", "base_model": "a/b, c/d"},
            {"license": ["mit", "gpl"], "base_model": ["a/b", "c/d"]},
        ),
    ],
)
def test_a_local_checkpoint(tmp_path: Path, source: dict[str, str], wanted: dict[str, Any]) -> None:
    source = {"model": "mine", "weights_sha256": "0" * 64, **source}
    head, text = card(tmp_path, source={**source, "revision": None})
    assert head.get("base_model") == wanted.get("base_model")
    assert ("base_model_relation" in head) is ("base_model" in wanted)
    assert head.get("license") == wanted.get("license")
    assert "This is `mine`, exported by" in text


def test_other_tasks_and_recipes(tmp_path: Path) -> None:
    evidence = [{"dataset": "d", "rows": 3, "mean_difference": 1e-9, "agreement": None}]
    head, text = card(
        tmp_path,
        task="feature-extraction",
        recipe={"name": "fp32"},
        evidence=evidence,
        card={"embeddings": "mean pooling"},
    )
    assert head["pipeline_tag"] == "feature-extraction"
    assert head["tags"] == ["leanbert", "onnx", "fp32", "bert", "sentence-transformers"]
    assert "base_model_relation" not in head
    assert "metrics" not in head
    assert "mean difference from PyTorch fp32 | 1e-09" in text
    head, text = card(tmp_path, card={"ranking": "scores"})
    assert head["pipeline_tag"] == "text-ranking"
    assert 'pipeline("text-ranking"' in text


@pytest.mark.slow
def test_a_bundle_has_its_card_and_seals_it(workshop: Workshop, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(workshop.bundle("classifier", "int8"), tmp_path / "bundle"))
    manifest = Bundle.open(folder).manifest
    assert manifest is not None
    assert CARD in manifest.files
    amend_manifest(folder, card={"use": "not investment advice"})
    assert "| use | not investment advice |" in (folder / CARD).read_text(encoding="utf-8")
    Bundle.open(folder)
    with (folder / CARD).open("a", encoding="utf-8") as file:
        file.write("x")
    with pytest.raises(BundleError, match=r"README\.md"):
        Bundle.open(folder)
