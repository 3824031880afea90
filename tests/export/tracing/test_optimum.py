"""Architectures of all kinds: which are traced, and why the others are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from leanbert import pipeline, verify
from leanbert.bundle import Bundle
from leanbert_export.errors import CheckpointError, ProofError
from leanbert_export.exporting import Report, export
from leanbert_export.quiet import quiet
from leanbert_export.samples import sample_texts
from tests.export.conftest import NEEDS_OPTIMUM
from tests.export.test_failures import edit_config
from tests.helpers import families, family_tokenizers

pytestmark = pytest.mark.slow

TEXTS = list(sample_texts()[::20])
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "initializer_range": 0.2,
}
XLM_SIZES = {"emb_dim": 32, "n_layers": 2, "n_heads": 2, "n_langs": 1, "init_std": 0.2}
LABELS = {"id2label": {0: "positive", 1: "negative", 2: "neutral"}}


def checkpoint(folder: Path, family: str, task: str, **config: Any) -> Path:
    """A random model with the tokenizer of a BERT."""
    tokenizer = family_tokenizers.tokenizer("bert")
    kind, options = families.HEADS[task]
    with quiet():
        made = transformers.AutoConfig.for_model(
            family,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            **{**options, **config},
        )
        torch.manual_seed(families.SEED)
        model = getattr(transformers, kind).from_config(made)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def exported(source: Path, output: Path) -> Report:
    return export(str(source), output, texts=TEXTS, calibration=TEXTS)


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("convbert", {**SIZES, "embedding_size": 32}),
        ("nystromformer", SIZES),
    ],
)
def test_scores_that_depend_on_padding(
    tmp_path: Path, nothing_left: Any, family: str, config: dict[str, Any]
) -> None:
    source = checkpoint(tmp_path.parent / family, family, "text-classification", **config)
    with pytest.raises(ProofError) as caught:
        exported(source, tmp_path / "out")
    message = str(caught.value)
    assert message.startswith("lengths: the output for ")
    assert "away from the one in a batch with longer texts, so answers would depend" in message
    nothing_left()


@pytest.mark.parametrize("family", ["convbert", "nystromformer"])
def test_nearly_constant_scores_that_depend_on_padding(
    tmp_path: Path, nothing_left: Any, family: str
) -> None:
    """Without training, with the weights that transformers begins with, texts differ little."""
    config = {**SIZES, "initializer_range": 0.02}
    if family == "convbert":
        config["embedding_size"] = 32
    source = checkpoint(tmp_path.parent / f"{family}-flat", family, "text-classification", **config)
    with pytest.raises(ProofError, match="away from the one in a batch with longer texts"):
        exported(source, tmp_path / "out")
    nothing_left()


def test_attention_over_texts_of_one_length(tmp_path: Path, nothing_left: Any) -> None:
    source = checkpoint(
        tmp_path.parent / "landmarks", "nystromformer", "text-classification",
        **SIZES, num_landmarks=8, segment_means_seq_len=64,
    )  # fmt: skip
    with pytest.raises(CheckpointError) as caught:
        exported(source, tmp_path / "out")
    assert str(caught.value).endswith(
        "config.json: asks for attention over the means of 8 stretches (num_landmarks) of texts of "
        "exactly 64 tokens (segment_means_seq_len), padding included; LeanBERT exports encoders "
        "that take texts of any length"
    )
    nothing_left()


@pytest.mark.parametrize("family", ["xlm", "flaubert"])
@pytest.mark.parametrize("task", families.HEADS)
def test_heads_of_xlm_and_flaubert(tmp_path: Path, family: str, task: str) -> None:
    """Their classes have names of their own, and their pooler is no pooler."""
    source = checkpoint(tmp_path / "source", family, task, **XLM_SIZES)
    report = exported(source, tmp_path / "out")
    assert report.checkpoint.task == task
    assert report.fp32.max_output_difference < 1e-4
    assert verify(report.path).golden_texts > 5


@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_one_type_of_token(tmp_path: Path, task: str) -> None:
    source = checkpoint(tmp_path / "source", "bert", task, **SIZES, type_vocab_size=1)
    report = exported(source, tmp_path / "out")
    if task == "question-answering":
        assert verify(report.path).golden_texts > 5
        return
    with quiet():
        theirs = transformers.AutoModelForSequenceClassification.from_pretrained(source).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    with torch.inference_mode():
        inputs = tokenizer(TEXTS[1], return_tensors="pt")
        wanted = theirs(**inputs).logits.softmax(dim=1)[0].tolist()
    found = pipeline(None, report.path)(TEXTS[1], top_k=None)
    by_label = {item["label"]: item["score"] for item in found}
    assert [by_label[name] for name in LABELS["id2label"].values()] == pytest.approx(
        wanted, abs=0.05
    )


def test_attentions_are_not_put_out(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", "bert", "text-classification", **SIZES)
    edit_config(source, output_attentions=True)
    report = exported(source, tmp_path / "out")
    config = json.loads((report.path / "config.json").read_text(encoding="utf-8"))
    assert not config.get("output_attentions")
    assert Bundle.open(report.path).config.num_labels == 3


@NEEDS_OPTIMUM
@pytest.mark.parametrize(
    ("family", "config", "cause"),
    [
        ("luke", {**SIZES, "entity_vocab_size": 9, "entity_emb_size": 8}, "does not know the arch"),
        ("roberta-prelayernorm", SIZES, "does not know the architecture roberta-prelayernorm"),
    ],
)
def test_architectures_that_are_not_traced(
    tmp_path: Path, nothing_left: Any, family: str, config: dict[str, Any], cause: str
) -> None:
    source = checkpoint(tmp_path.parent / family, family, "text-classification", **config)
    with pytest.raises(CheckpointError) as caught:
        exported(source, tmp_path / "out")
    assert str(caught.value).startswith(f"{source}: Optimum, which traces checkpoints, {cause}")
    nothing_left()


@NEEDS_OPTIMUM
def test_an_input_that_nobody_makes(tmp_path: Path, nothing_left: Any) -> None:
    source = checkpoint(
        tmp_path.parent / "longformer", "longformer", "text-classification", **SIZES,
        attention_window=16,
    )  # fmt: skip
    with pytest.raises(ProofError) as caught:
        exported(source, tmp_path / "out")
    assert str(caught.value).startswith("model.onnx: needs the input global_attention_mask")
    nothing_left()
