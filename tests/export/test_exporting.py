"""What a bundle holds: its files, its manifest, and that both can be trusted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from leanbert import pipeline, verify
from leanbert.bundle import MANIFEST, Bundle
from leanbert.errors import BundleCorruptError, BundleError
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.exporting import SHARES, STEPS, export
from leanbert_export.recipe import Int8Settings
from leanbert_export.writing import amend_manifest
from tests.export.conftest import NEEDS_OPTIMUM

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

pytestmark = pytest.mark.slow

FILES = {
    "README.md",
    "config.json",
    "leanbert.json",
    "model.onnx",
    "model.onnx.data",
    "tokenizer.json",
    "tokenizer_config.json",
}
RECIPES = ("fp32", "int8")
TEXTS = ["profit rose", "sales fell a lot", "the board met on Monday", "营业利润"]
FEW: dict[str, Any] = {"texts": TEXTS, "calibration": TEXTS}
"""Where the recipe's quality is not the subject."""


def manifest_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("recipe", RECIPES)
def test_files_and_their_hashes(workshop: Workshop, recipe: str) -> None:
    report = workshop.report("classifier", recipe)
    assert {path.name for path in report.path.iterdir()} == FILES
    listed = manifest_of(report.path)["files"]
    assert set(listed) == FILES - {MANIFEST}
    for name, entry in listed.items():
        data = (report.path / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert report.bundle_bytes == sum(path.stat().st_size for path in report.path.iterdir())
    weights = workshop.tiny() / "model.safetensors"
    assert report.checkpoint_bytes == weights.stat().st_size


@pytest.mark.parametrize("recipe", RECIPES)
def test_manifest(workshop: Workshop, recipe: str) -> None:
    report = workshop.report("classifier", recipe)
    manifest = manifest_of(report.path)
    weights = (workshop.tiny() / "model.safetensors").read_bytes()
    assert manifest["task"] == "text-classification"
    assert manifest["source"] == {
        "model": "classifier",
        "revision": None,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "license": "not stated",
        "base_model": "not stated",
    }
    assert manifest["max_length"] == 512
    assert manifest["optimized"] is True
    nodes = onnx.load(str(report.path / "model.onnx")).graph.node
    assert manifest["operators"] == Counter(node.op_type for node in nodes) == report.operators
    (evidence,) = manifest["evidence"]
    if recipe == "fp32":
        assert evidence == {"dataset": "sample texts of the export", **asdict(report.final)}
        assert evidence["rows"] == 200
        no = "no, it computes the recipe int8 only, and this bundle has fp32"
        assert manifest["card"] == {
            "labels": "0 positive, 1 negative, 2 neutral",
            "graph": "built from the description of bert, 2 layers",
            "license": "not stated",
            "base model": "not stated",
            "native engine": no,
        }
    else:  # of our 200 texts, a third is held back
        source = "LeanBERT's own sample"
        dataset = f"{source}, held back from calibration"
        assert evidence == {"dataset": dataset, **asdict(report.final)}
        assert evidence["rows"] == 67
        assert manifest["recipe"]["calibration"] == report.calibration == source
        assert manifest["recipe"]["calibration_rows"] == 133
        assert manifest["card"]["calibration"] == f"{source} (133 texts)"
        assert manifest["card"]["accuracy gate"].startswith("not set; agreement ")
        assert report.gate is not None
        assert manifest["recipe"]["gate"] == report.gate.as_dict()
    assert manifest["versions"]["torch"] == torch.__version__
    assert set(manifest["versions"]) >= {"leanbert", "transformers", "onnx-ir", "onnxruntime"}


def test_recipes(workshop: Workshop) -> None:
    assert manifest_of(workshop.bundle("classifier"))["recipe"] == {"name": "fp32", "opset": 21}
    recipe = manifest_of(workshop.bundle("classifier", "int8"))["recipe"]
    for plan in recipe.pop("products").values():
        assert set(plan) == {"zero_point", "clip", "smoothed"}
        assert plan["zero_point"] % 8 == 0
        assert 0.8 <= plan["clip"] <= 1
    details = {name: recipe.pop(name) for name in ("calibration", "calibration_rows", "gate")}
    assert all(details.values())
    assert recipe == {
        "name": "int8",
        "opset": 21,
        "weights_dtype": "QInt8",
        "activations_dtype": "QUInt8",
        "per_channel": True,
        "per_token": True,
        "is_static": False,
        "reduce_range": False,
        "operators_to_quantize": ["MatMul", "Gemm", "Gather"],
    }
    assert set(recipe) == {"name", "opset", *asdict(Int8Settings())}
    reduced = workshop.report("classifier", "int8", reduce_range=True).path
    assert manifest_of(reduced)["recipe"]["reduce_range"] is True
    old = manifest_of(workshop.bundle("classifier", "int8-per-tensor"))["recipe"]
    assert (old["name"], old["per_token"]) == ("int8-per-tensor", False)


def test_golden_texts_are_pytorchs_answers(workshop: Workshop) -> None:
    checkpoint = workshop.tiny()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    for recipe in RECIPES:
        golden = manifest_of(workshop.bundle("classifier", recipe))["golden"]
        texts = golden["texts"]
        assert len(texts) == 25
        assert [item["text_pair"] is not None for item in texts] == [False] * 24 + [True]
        assert len({item["text"] for item in texts[:24]}) == 24
        for item in texts:
            pair = [item["text_pair"]] if item["text_pair"] else []
            inputs = tokenizer(item["text"], *pair, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                logits = model(**inputs).logits[0].numpy()
            np.testing.assert_allclose(item["reference"], logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_golden_bound_is_twice_what_was_measured(workshop: Workshop, recipe: str) -> None:
    bundle = workshop.bundle("classifier", recipe)
    atol = manifest_of(bundle)["golden"]["atol"]
    found = verify(bundle, engine="onnxruntime")  # which made the bounds
    assert found.golden_texts == 25
    if recipe == "fp32":
        assert atol == 1e-4
    else:
        assert atol == pytest.approx(2 * found.max_difference, rel=0.01)
        assert found.mean_atol == pytest.approx(1.4 * found.mean_difference, rel=0.01)
        assert atol > 1e-4


def test_feature_bundles_verify(workshop: Workshop) -> None:
    report = workshop.report("features", "int8")
    assert report.checkpoint.task == "feature-extraction"
    assert report.final.agreement is None
    assert report.final.mean_difference < 0.01
    golden = manifest_of(report.path)["golden"]["texts"]
    assert {len(item["reference"]) for item in golden} == {32}
    assert verify(report.path).golden_texts == 25


def test_steps_are_named_in_order(workshop: Workshop, tmp_path: Path) -> None:
    steps: list[str] = []
    export(str(workshop.tiny()), tmp_path / "int8", on_step=steps.append, **FEW)
    assert tuple(step for step in steps if step in STEPS) == STEPS
    details = [step.removeprefix("quantizing ") for step in steps if step not in STEPS]
    assert sorted(details) == sorted(manifest_of(tmp_path / "int8")["recipe"]["products"])
    steps.clear()
    export(str(workshop.tiny()), str(tmp_path / "fp32"), recipe="fp32", on_step=steps.append)
    assert steps == [*STEPS[:4], "writing the bundle"]


def test_the_same_checkpoint_gives_the_same_bytes(workshop: Workshop, tmp_path: Path) -> None:
    first, second = (
        export(str(workshop.tiny()), tmp_path / name, **FEW).path for name in ("first", "second")
    )
    assert (first / MANIFEST).read_bytes() == (second / MANIFEST).read_bytes()


def test_own_texts(workshop: Workshop, tmp_path: Path) -> None:
    texts = ["sales fell", "profit rose by half", "营业利润"]
    report = export(str(workshop.tiny()), tmp_path / "own", recipe="fp32", texts=texts)
    assert report.final.rows == 3
    golden = manifest_of(report.path)["golden"]["texts"]
    assert sorted(item["text"] for item in golden[:-1]) == sorted(texts)
    assert golden[-1]["text_pair"] in texts


def test_an_older_checkpoint_without_tokenizer_json(
    checkpoint_copy: Path, tmp_path: Path, workshop: Workshop
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint_copy)
    torch.save(model.state_dict(), checkpoint_copy / "pytorch_model.bin")
    (checkpoint_copy / "model.safetensors").unlink()
    (checkpoint_copy / "tokenizer.json").unlink()
    report = export(str(checkpoint_copy), tmp_path / "bundle", recipe="fp32", allow_pickle=True)
    weights = (checkpoint_copy / "pytorch_model.bin").read_bytes()
    assert report.checkpoint_bytes == len(weights)
    source = manifest_of(report.path)["source"]
    assert source["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    text = "Sales fell in naïve Finland 营业."
    (one,), (other,) = (
        pipeline(None, path)(text) for path in (report.path, workshop.bundle("classifier"))
    )
    assert one["label"] == other["label"]
    assert one["score"] == pytest.approx(other["score"], abs=1e-6)


def test_shards_are_hashed_together(checkpoint_copy: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint_copy)
    (checkpoint_copy / "model.safetensors").unlink()
    model.save_pretrained(checkpoint_copy, max_shard_size="1MB")
    shards = sorted(checkpoint_copy.glob("model-*.safetensors"))
    assert len(shards) > 1
    digests = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in shards)
    found = find_checkpoint(str(checkpoint_copy), revision=None, task=None)
    assert found.weights_sha256 == hashlib.sha256(digests.encode()).hexdigest()


@NEEDS_OPTIMUM
def test_optimum_opens_the_bundle(workshop: Workshop) -> None:
    from optimum.onnxruntime import ORTModelForSequenceClassification

    bundle = workshop.bundle("classifier")
    theirs = ORTModelForSequenceClassification.from_pretrained(bundle)
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    ours = pipeline(None, bundle, top_k=None, function_to_apply="none")
    for text in ("Sales fell.", "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn."):
        logits = theirs(**tokenizer(text, return_tensors="pt")).logits[0].tolist()
        found = {answer["label"]: answer["score"] for answer in ours(text)[0]}
        expected = dict(zip(("positive", "negative", "neutral"), logits, strict=True))
        assert found == pytest.approx(expected, abs=1e-4, rel=0)


def test_amending_reseals(sealed_copy: Path) -> None:
    before = manifest_of(sealed_copy)
    card, evidence = {"licence": "MIT"}, [{"dataset": "own", "rows": 3, "accuracy": 0.9}]
    amend_manifest(sealed_copy, card=card, evidence=evidence)
    after = manifest_of(sealed_copy)
    assert after.pop("sha256") != before.pop("sha256")
    assert after["files"].pop("README.md") != before["files"].pop("README.md")  # it has the card
    assert after == {**before, "card": card, "evidence": evidence}
    opened = Bundle.open(sealed_copy).manifest
    assert opened is not None
    assert (opened.card, opened.evidence) == (card, evidence)
    assert verify(sealed_copy).golden_texts == 25
    assert {path.name for path in sealed_copy.iterdir()} == FILES


def test_amending_lists_a_new_file(sealed_copy: Path) -> None:
    (sealed_copy / "LICENSE").write_text("free", encoding="utf-8")
    amend_manifest(sealed_copy)
    assert manifest_of(sealed_copy)["files"]["LICENSE"]["size"] == 4
    (sealed_copy / "LICENSE").write_text("paid", encoding="utf-8")
    with pytest.raises(BundleCorruptError, match="LICENSE"):
        Bundle.open(sealed_copy)


def test_editing_by_hand_is_refused(sealed_copy: Path) -> None:
    path = sealed_copy / MANIFEST
    text = path.read_text(encoding="utf-8")
    assert text.count('"card": {') == 1
    path.write_text(text.replace('"card": {', '"card": {"licence": "MIT", '), encoding="utf-8")
    with pytest.raises(BundleCorruptError, match="was changed after the export"):
        Bundle.open(sealed_copy)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_changed_bundle_is_not_resealed(sealed_copy: Path, name: str) -> None:
    path = sealed_copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    before = (sealed_copy / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        amend_manifest(sealed_copy, card={"licence": "MIT"})
    assert (sealed_copy / MANIFEST).read_bytes() == before


def test_a_bundle_may_move(workshop: Workshop, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(workshop.bundle("classifier", "int8"), tmp_path / "elsewhere"))
    assert verify(moved).path == moved


def test_the_shares_of_the_steps() -> None:
    assert tuple(SHARES) == STEPS
    assert sum(SHARES.values()) == 100
