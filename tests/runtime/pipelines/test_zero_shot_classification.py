"""zero-shot-classification says what transformers' pipeline says, for every family."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.errors import InputError, LeanBertWarning
from tests.helpers.real_texts import AWKWARD, LONG
from tests.helpers.tiny_bundles import Tiny, reference

FAMILIES = [
    "bert",
    "roberta",
    "distilbert",
    "electra",
    "albert",
    "xlm-roberta",
    "mpnet",
    "deberta-v2",
    "modernbert",
]
NLI = ("contradiction", "neutral", "entailment")
LABELS = ["money", "a lost card", "travel"]
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"multi_label": True},
    {"hypothesis_template": "It is about {}!"},
    {"hypothesis_template": "{}", "multi_label": False},
]
pytestmark = pytest.mark.filterwarnings("ignore:.*nothing of it is verified")


def relabelled(source: Path, folder: Path, labels: tuple[str, ...]) -> Path:
    shutil.copytree(source, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["id2label"] = {str(i): label for i, label in enumerate(labels)}
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    path.write_text(json.dumps(config))
    return folder


def both(workshop: Any, family: str, labels: tuple[str, ...], folder: Path) -> tuple[Any, Any]:
    import transformers

    from leanbert_export.quiet import quiet

    task = "zero-shot-classification"
    source = workshop.checkpoint(family, "text-classification")
    plain = workshop.plain(family, "text-classification")
    with quiet():
        theirs = transformers.pipeline(
            task, str(relabelled(source, folder / "checkpoint", labels)), device="cpu"
        )
    return pipeline(task, relabelled(plain, folder / "plain", labels), threads=1), theirs


def check_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            check_same(our, their)
        return
    assert list(ours) == list(theirs) == ["sequence", "labels", "scores"]
    assert (ours["sequence"], ours["labels"]) == (theirs["sequence"], theirs["labels"])
    assert {type(score) for score in ours["scores"]} == {float}
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_parity(families: Any, tmp_path: Path, family: str) -> None:
    labels = NLI if FAMILIES.index(family) % 2 else NLI[::-1]  # entailment first, too
    judge, theirs = both(families, family, labels, tmp_path)
    texts = [text for text in AWKWARD if text]
    check_same(judge(texts, LABELS, truncation=True), theirs(texts, LABELS))
    check_same(judge(LONG, LABELS[:2], truncation=True), theirs(LONG, LABELS[:2]))
    for options in ARGUMENTS:
        for given in (LABELS, "money, travel ,,a card", "money"):
            for inputs in ("Where is it?", ["Where is it?"], ["Where is it?", "My card is lost."]):
                ours = judge(inputs, candidate_labels=given, **options)
                check_same(ours, theirs(inputs, candidate_labels=given, **options))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_parity_on_real_texts_with_real_tokenizers(
    real_families: Any, data_dir: Path, tmp_path: Path, family: str
) -> None:
    with (data_dir / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][::24]
    assert len(texts) > 100
    judge, theirs = both(real_families, family, NLI, tmp_path)
    check_same(judge(texts, LABELS), theirs(texts, LABELS))


@pytest.fixture(scope="module")
def judge(make_bundle: Callable[..., Path]) -> Any:
    bundle = make_bundle(labels=NLI)
    return pipeline("zero-shot-classification", bundle, threads=1, candidate_labels=["up", "down"])


def test_the_entailment_is_the_score(judge: Any) -> None:
    logits = [
        reference(Tiny(labels=NLI), "profit rose", f"This example is {label}.")[2]
        for label in ("up", "down")
    ]
    wanted = np.exp(logits) / np.exp(logits).sum()
    found = judge("profit rose")
    by_label = dict(zip(found["labels"], found["scores"], strict=True))
    assert [by_label["up"], by_label["down"]] == pytest.approx(wanted, abs=1e-6)
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert list(judge.stream(["profit rose"])) == [found]
    assert judge("")["sequence"] == ""


def test_only_the_text_is_cut(judge: Any) -> None:
    long = "profit " * 60
    with pytest.warns(LeanBertWarning, match="cut to 32 tokens"):
        judge(long)
    kept = 32 - 3 - 4  # the special tokens, and those of the hypothesis
    hypotheses = {"hypothesis_template": "it is {}!"}
    ours = judge(long, truncation=True, **hypotheses)
    assert ours["scores"] == judge("profit " * kept, **hypotheses)["scores"]
    with pytest.raises(InputError, match="longer than 32 tokens"):
        judge(long, truncation=False)
    with pytest.raises(InputError, match="leaves no room for a text in 32 tokens"):
        judge("profit", ["bank " * 40])


def test_a_model_of_another_kind(make_bundle: Callable[..., Path]) -> None:
    with pytest.warns(LeanBertWarning, match="no label begins with 'entail'"):
        judge = pipeline("zero-shot-classification", make_bundle())
    found = judge("profit rose", "up, down")  # the last label counts, as with transformers
    logits = [
        reference(Tiny(), "profit rose", f"This example is {label}.")[-1]
        for label in found["labels"]
    ]
    wanted = np.exp(logits) / np.exp(logits).sum()
    assert found["scores"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        ("a", {"candidate_labels": ""}, "candidate_labels is empty"),
        ("a", {"candidate_labels": [3]}, "candidate_labels is"),
        ("a", {"candidate_labels": None}, "candidate_labels is None"),
        ("a", {"hypothesis_template": "about"}, "hypothesis_template is 'about'"),
        ("a", {"hypothesis_template": "{0} {1}"}, "hypothesis_template is"),
        ("a", {"hypothesis_template": 3}, "hypothesis_template is 3"),
        ("a", {"hypothesis_template": "About {{}}."}, r"hypothesis_template is 'About \{\{\}\}\.'"),
        ("a", {"hypothesis_template": "{:.0s}"}, "hypothesis_template is"),
        (["a", {"text": "a"}], {}, "text 1: expected a string, got dict"),
        ("a", {"multi_label": "no"}, "multi_label is 'no'; expected True or False"),
    ],
)
def test_what_makes_no_sense(judge: Any, inputs: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        judge(inputs, **options)
