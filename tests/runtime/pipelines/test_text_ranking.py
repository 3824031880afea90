"""text-ranking scores pairs as sentence-transformers' CrossEncoder does."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.errors import BundleCorruptError, InputError, TaskError
from tests.helpers.tiny_bundles import LABELS, Tiny, reference

ONE = Tiny(labels=("score",))
QUERY = "profit"
DOCUMENTS = ["a bad loss", "profit rose", "the bank", "growth", "the bank"]


def logit(query: str, document: str) -> float:
    return float(reference(ONE, query, document)[0])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.fixture(scope="module")
def rank(make_bundle: Callable[..., Path]) -> Any:
    return pipeline("text-ranking", make_bundle(labels=("score",)), threads=1)


def test_pairs(rank: Any) -> None:
    wanted = [pytest.approx(sigmoid(logit(QUERY, text)), abs=1e-6) for text in DOCUMENTS]
    assert rank([(QUERY, text) for text in DOCUMENTS]) == wanted
    assert rank([[QUERY, text] for text in DOCUMENTS]) == wanted
    assert rank([{"text": QUERY, "text_pair": text} for text in DOCUMENTS]) == wanted
    assert rank((QUERY, DOCUMENTS[0])) == wanted[0]
    assert rank([QUERY, DOCUMENTS[0]]) == wanted[0]
    assert rank({"text": QUERY, "text_pair": DOCUMENTS[0]}) == wanted[0]
    assert type(rank((QUERY, ""))) is float
    assert rank((QUERY, "")) == pytest.approx(sigmoid(logit(QUERY, "")), abs=1e-6)
    assert rank([]) == []


def test_a_query_and_its_documents(rank: Any) -> None:
    scores = [sigmoid(logit(QUERY, text)) for text in DOCUMENTS]
    order = sorted(range(5), key=lambda i: -scores[i])  # of equals the first
    wanted: list[dict[str, Any]] = [
        {"corpus_id": i, "score": pytest.approx(scores[i], abs=1e-6)} for i in order
    ]
    asked = {"query": QUERY, "documents": DOCUMENTS}
    assert rank(asked) == wanted
    assert rank(asked, top_k=2) == wanted[:2]
    assert rank(asked, top_k=None, return_documents=True) == [
        {**row, "text": DOCUMENTS[row["corpus_id"]]} for row in wanted
    ]
    assert rank([asked, {"query": "a", "documents": []}, (QUERY, DOCUMENTS[0])]) == [
        wanted,
        [],
        pytest.approx(scores[0], abs=1e-6),
    ]
    assert rank({"query": "a", "documents": []}) == []
    streamed = rank(iter([asked]))
    assert isinstance(streamed, Iterator)
    assert list(streamed) == [wanted]
    assert DOCUMENTS == ["a bad loss", "profit rose", "the bank", "growth", "the bank"]


@pytest.mark.parametrize(
    ("config", "function"),
    [
        ({}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "none"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "none"),
        (
            {
                "sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"},
                "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity",
            },
            "sigmoid",
        ),
        ({"sentence_transformers": {"version": "5.1.2"}}, "sigmoid"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}}, "tanh"),
    ],
)
def test_the_config_names_the_function(
    make_bundle: Callable[..., Path], config: dict[str, Any], function: str
) -> None:
    rank: Any = pipeline("text-ranking", make_bundle(labels=("score",), config=config), threads=1)
    raw = logit(QUERY, "growth")
    wanted = {"none": raw, "sigmoid": sigmoid(raw), "softmax": 1.0}
    assert rank((QUERY, "growth")) == pytest.approx(
        {**wanted, "tanh": math.tanh(raw)}[function], abs=1e-5
    )
    for name, value in wanted.items():
        found = rank((QUERY, "growth"), function_to_apply=name)
        assert found == pytest.approx(value, abs=1e-5)


def test_several_logits(make_bundle: Callable[..., Path]) -> None:
    rank = pipeline("text-ranking", make_bundle(), threads=1)
    raw = reference(Tiny(), QUERY, "growth")
    found = rank([(QUERY, "growth")])
    assert found == [[pytest.approx(float(value), abs=1e-5) for value in raw]]
    assert len(found[0]) == len(LABELS)
    softmax = rank((QUERY, "growth"), function_to_apply="softmax")
    assert softmax == pytest.approx(np.exp(raw) / np.exp(raw).sum(), abs=1e-6)
    with pytest.raises(TaskError, match="3 scores a pair"):
        rank({"query": QUERY, "documents": ["a"]})


def test_an_activation_that_is_unknown(make_bundle: Callable[..., Path]) -> None:
    config = {"sbert_ce_default_activation_function": "torch.nn.modules.activation.GELU"}
    with pytest.raises(BundleCorruptError, match=r"GELU' is none of Sigmoid, Tanh, Identity"):
        pipeline("text-ranking", make_bundle(labels=("score",), config=config))


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        (["a", "b", "c"], {}, "input 0: expected a pair of strings"),
        ([("a", 3)], {}, "input 0: expected a pair"),
        ([("a", "b"), {"query": "a"}], {}, "input 1: expected a pair"),
        ({"query": "a", "documents": "b"}, {}, "input 0: expected a pair"),
        ("a", {}, "input 0: expected a pair"),
        (("a", "b"), {"top_k": 0}, "top_k is 0"),
        (("a", "b"), {"function_to_apply": "tanh"}, "function_to_apply is 'tanh'"),
    ],
)
def test_what_makes_no_sense(rank: Any, inputs: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        rank(inputs, **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_scores_are_those_of_pytorch(families: Any, data_dir: Path, tmp_path: Path) -> None:
    """A seeded cross-encoder on real pairs: ``predict`` and ``rank`` spelled out in torch."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = families.checkpoint("bert", "text-classification")
    plain = Path(shutil.copytree(families.plain("bert", "text-classification"), tmp_path / "p"))
    config = json.loads((plain / "config.json").read_text())
    with (data_dir / "stsb" / "sts-test.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[::12]
    pairs = [(row[5], row[6]) for row in rows]
    assert len(pairs) > 100
    model = AutoModelForSequenceClassification.from_pretrained(source).eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    with torch.inference_mode():
        inputs = tokenizer(pairs, padding=True, truncation=True, return_tensors="pt")
        logits = model(**inputs).logits
    rank = pipeline("text-ranking", plain, threads=1)
    np.testing.assert_allclose(rank(pairs, truncation=True), logits.numpy(), atol=1e-4)
    (plain / "config.json").write_text(
        json.dumps({**config, "sentence_transformers": {"activation_fn": "torch.nn.Sigmoid"}})
    )
    rank = pipeline("text-ranking", plain, threads=1)
    wanted = torch.sigmoid(logits).numpy()
    np.testing.assert_allclose(rank(pairs, truncation=True), wanted, atol=1e-4)
