"""Directories of sentence-transformers: what is followed, written, and refused by its name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from leanbert import pipeline
from leanbert.bundle import Bundle
from leanbert.bundle.sentence_transformers import SentenceModules, Step
from leanbert.errors import BundleError
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import export
from tests.export.conftest import MINILM, Workshop, load
from tests.helpers.sentence_directories import (
    cosine,
    dense,
    describe,
    pooled,
    write_dense,
    write_json,
)

KNOWN = {"query": "", "document": ""}
TEXTS = ["profit rose and sales fell", "The Company said so.", "A bad loss in the quarter, again"]


@pytest.fixture
def directory(workshop: Workshop, tmp_path: Path) -> Path:
    """A model of sentence-transformers with its mean, as all-MiniLM-L6-v2 is."""
    folder = Path(shutil.copytree(workshop.tiny("features"), tmp_path / "checkpoint"))
    return describe(folder, transformer={"max_seq_length": 24, "do_lower_case": False})


def find(folder: Path, task: str | None = None) -> SentenceModules | None:
    return find_checkpoint(str(folder), revision=None, task=task).modules


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        find(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_follows_the_encoder(directory: Path) -> None:
    normalized = (Step("Normalize", "2_Normalize"),)
    assert find(directory) == SentenceModules(
        ("mean",), steps=normalized, max_seq_length=24, prompts=KNOWN
    )
    describe(directory, ("cls", "max"), steps=())
    (directory / "sentence_bert_config.json").unlink()
    assert find(directory) == SentenceModules(("cls", "max"), prompts=KNOWN)
    (directory / "modules.json").unlink()
    assert find(directory) is None


def test_the_real_model() -> None:
    found = find(MINILM, "feature-extraction")
    assert found == SentenceModules(
        ("mean",),
        steps=(Step("Normalize", "2_Normalize"),),
        max_seq_length=256,
        prompts=KNOWN,
    )


def test_another_module(directory: Path) -> None:
    assert "would drop CNN (2_CNN)" in refused(describe(directory, steps=("2_CNN",)))


def test_a_dense_layer_without_weights_that_may_be_read(directory: Path) -> None:
    describe(directory, steps=("2_Dense",))
    write_json(directory / "2_Dense/config.json", {"activation_function": "torch.nn.Tanh"})
    assert f"{directory / '2_Dense'}: no model.safetensors" in refused(directory)
    torch.save({"linear.weight": torch.zeros(4, 32)}, directory / "2_Dense/pytorch_model.bin")
    assert "its weights are pickled only" in refused(directory)
    found = find_checkpoint(str(directory), revision=None, task=None, allow_pickle=True)
    assert found.layers == {
        "2_Dense/model.safetensors": directory / "2_Dense" / "pytorch_model.bin"
    }


def test_a_head_does_not_ask_for_it(workshop: Workshop, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(workshop.tiny(), tmp_path / "checkpoint"))
    assert find(describe(folder, steps=("2_CNN",))) is None


def reference(folder: Path, text: str, length: int = 24) -> Any:
    """The tokens' vectors by PyTorch, in double precision."""
    loaded = load(folder)
    inputs = loaded.tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
    with torch.no_grad():
        return loaded.model(**inputs).last_hidden_state[0].numpy().astype(float)


@pytest.mark.slow
def test_the_bundle_gives_the_vectors_of_encode(directory: Path, tmp_path: Path) -> None:
    long = "profit rose and sales fell " * 20
    wanted = [pooled(reference(directory, text), "mean") for text in (*TEXTS, long)]
    report = export(str(directory), tmp_path / "out", recipe="fp32")
    assert Bundle.open(report.path).max_length == 24
    assert report.notes["embeddings"] == "mean pooling; scaled to length 1; up to 24 tokens"
    embed = pipeline("feature-extraction", report.path, truncation=True)
    for found, vector in zip(embed([*TEXTS, long]), wanted, strict=True):
        assert cosine(found, vector) == pytest.approx(1, abs=1e-6)
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_everything_travels_in_the_bundle(directory: Path, tmp_path: Path) -> None:
    settings = {
        "prompts": {"query": "the query: "},
        "default_prompt_name": "query",
        "truncate_dim": 7,
        "similarity_fn_name": "dot",
        "author": "zanzibar-7351",
    }
    describe(
        directory, {"pooling_mode": "cls", "owner": ""}, ("2_Dense", "3_Normalize"), "0_Transformer"
    )
    write_json(directory / "config_sentence_transformers.json", settings)
    transformer = directory / "0_Transformer"
    for path in list(directory.iterdir()):
        if path.is_file() and path.name not in {"modules.json", *directory.glob("config_s*")}:
            path.rename(transformer / path.name)
    (transformer / "config_sentence_transformers.json").rename(
        directory / "config_sentence_transformers.json"
    )
    write_json(transformer / "sentence_bert_config.json", {"max_seq_length": 20})
    weights = write_dense(directory / "2_Dense", 32, 9)
    report = export(str(directory), tmp_path / "out", recipe="fp32")
    bundle = Bundle.open(report.path)
    assert bundle.manifest is not None
    listed = set(bundle.manifest.files)
    assert {"modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors"} <= listed
    written = {path for path in report.path.rglob("*") if path.is_file()}
    assert {path.relative_to(report.path).as_posix() for path in written} - listed == {
        "leanbert.json"
    }
    assert not any(b"zanzibar-7351" in path.read_bytes() for path in written)
    found = find(directory)
    assert found is not None
    assert found.folder == "0_Transformer"
    assert bundle.sentence_modules() == SentenceModules(
        ("cls",),
        steps=(Step("Dense", "2_Dense", "tanh"), Step("Normalize", "3_Normalize")),
        max_seq_length=20,
        prompts={"query": "the query: ", "document": ""},
        default_prompt_name="query",
        truncate_dim=7,
        similarity_fn_name="dot",
    )
    embed = pipeline("feature-extraction", report.path)
    for text in TEXTS:
        vector = dense(reference(transformer, "the query: " + text, 20)[0], weights)
        wanted = (vector / np.linalg.norm(vector))[:7]
        np.testing.assert_allclose(embed(text), wanted, atol=1e-5)
    layer = report.path / "2_Dense" / "model.safetensors"
    data = bytearray(layer.read_bytes())
    data[-1] ^= 1
    layer.write_bytes(data)
    with pytest.raises(BundleError, match="content differs from its sha256"):
        Bundle.open(report.path)


@pytest.mark.slow
def test_lower_case_becomes_a_part_of_the_tokenizer(
    workshop: Workshop, directory: Path, tmp_path: Path
) -> None:
    path = directory / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**content, "do_lower_case": False})
    write_json(directory / "sentence_bert_config.json", {"do_lower_case": True})
    text = "PROFIT rose in Finland"
    cased = transformers.AutoTokenizer.from_pretrained(directory)
    assert cased(text)["input_ids"] != cased(text.lower())["input_ids"]
    report = export(str(directory), tmp_path / "out", recipe="fp32")
    tokenizer = pipeline("feature-extraction", report.path).runner.tokenizer
    assert tokenizer.encode([text]).input_ids.tolist() == cased(text.lower())["input_ids"]


@pytest.mark.slow
def test_a_cross_encoder(workshop: Workshop, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(workshop.tiny("one-label"), tmp_path / "checkpoint"))
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.x.Transformer"}
    write_json(folder / "modules.json", [module])
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 20})
    settings = {
        "model_type": "CrossEncoder",
        "activation_fn": "torch.nn.modules.activation.Tanh",
        "prompts": {"web": "find: "},
        "default_prompt_name": "web",
    }
    write_json(folder / "config_sentence_transformers.json", settings)
    loaded = load(folder)
    scores = []
    for text in TEXTS:
        inputs = loaded.tokenizer(
            "find: profit", text, truncation=True, max_length=20, return_tensors="pt"
        )
        with torch.no_grad():
            scores.append(float(torch.tanh(loaded.model(**inputs).logits)))
    report = export(str(folder), tmp_path / "out", recipe="fp32")
    assert report.notes["ranking"].endswith("scores by torch.nn.modules.activation.Tanh")
    rank = pipeline("text-ranking", report.path)
    ranked = rank({"query": "profit", "documents": TEXTS})
    assert [row["corpus_id"] for row in ranked] == sorted(range(3), key=lambda i: -scores[i])
    for row in ranked:
        assert row["score"] == pytest.approx(scores[row["corpus_id"]], abs=1e-5)
    assert rank(("profit", TEXTS[0]), prompt="") != rank(("profit", TEXTS[0]))
