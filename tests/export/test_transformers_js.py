"""Bundles of other tasks, recipes and families open in transformers.js as the page on it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert_export.exporting import export
from leanbert_export.samples import sample_texts
from tests.docs.test_web import FILES, TRANSFORMERS_JS
from tests.helpers.node import node_modules, node_output

pytestmark = pytest.mark.slow

TEXTS = list(sample_texts()[::9])
OPENED = 'pipeline("text-classification", "finbert-int8",'
ASKED = "await classify(process.argv.slice(2), { top_k: null })"
"""What the page's code says of text classification."""
TOLERANCE = 0.05
"""A rounding that falls otherwise moves a tiny model with random weights this far."""
ARGUMENTS: dict[str, dict[str, Any]] = {
    "text-classification": {"top_k": None},
    "token-classification": {"ignore_labels": []},
    "feature-extraction": {"pooling": "mean"},
    "fill-mask": {"top_k": 5},
}
Found = dict[tuple[Any, ...], float]


def scores(task: str, answers: Any) -> Found:
    """The score of each label, token or word, by the text's number."""
    keys = {"token-classification": ("index", "entity"), "fill-mask": ("token",)}
    return {
        (i, *(item[key] for key in keys.get(task, ("label",)))): item["score"]
        for i, answer in enumerate(answers)
        for item in answer
    }


def made(families: Any, folder: Path, family: str, task: str, recipe: str = "int8") -> Path:
    """A bundle where the page's code looks for one; the test is skipped without the packages."""
    modules = node_modules(*TRANSFORMERS_JS)
    (folder / "node_modules").symlink_to(modules)
    bundle = folder / "bundles" / "made"
    bundle.parent.mkdir()
    calibration = None if recipe == "fp32" else TEXTS
    source = str(families.checkpoint(family, task))
    export(source, bundle, texts=TEXTS, recipe=recipe, calibration=calibration)
    return bundle


def answered(folder: Path, task: str, asked: str, arguments: list[str]) -> Any:
    """What the page's code prints with another task, and ``asked`` in place of its call."""
    code = FILES["classify.mjs"]
    assert OPENED in code and ASKED in code
    code = code.replace(OPENED, f'pipeline("{task}", "made",').replace(ASKED, asked)
    (folder / "classify.mjs").write_text(code, encoding="utf-8")
    return json.loads(node_output(folder, "classify.mjs", *arguments))


@pytest.mark.parametrize(
    ("family", "task", "recipe"),
    [
        ("bert", "token-classification", "int8"),
        ("bert", "fill-mask", "int8"),
        ("bert", "text-classification", "fp32"),
        ("bert", "text-classification", "int8-per-tensor"),
        ("roberta", "feature-extraction", "int8"),
        ("xlm-roberta", "token-classification", "int8"),
        ("modernbert", "text-classification", "int8"),
    ],
)
def test_answers_in_node(
    families: Any, tmp_path: Path, family: str, task: str, recipe: str
) -> None:
    bundle = made(families, tmp_path, family, task, recipe)
    asked = f"await classify(process.argv.slice(2), {json.dumps(ARGUMENTS[task])})"
    if task == "feature-extraction":
        asked = f"({asked}).tolist()"
    texts = [f"{text} [MASK]" for text in TEXTS] if task == "fill-mask" else TEXTS
    if recipe == "int8-per-tensor":  # a text's scores depend on its batch
        texts = texts[:1]
    found = answered(tmp_path, task, asked, texts)
    expected = pipeline(task, bundle, engine="onnxruntime", threads=1)(texts, **ARGUMENTS[task])
    if task == "feature-extraction":
        for here, there in zip(found, expected, strict=True):
            assert here == pytest.approx(list(there), abs=TOLERANCE)
        return
    here, there = scores(task, found), scores(task, expected)
    assert here == pytest.approx({key: there[key] for key in here}, abs=TOLERANCE)
    # transformers.js leaves out tokens without a word: [UNK], and SentencePiece's mark of a space.
    least = 0.9 if task == "token-classification" else 1.0
    assert len(here) >= least * len(there) > 0


def test_spans_in_node(families: Any, tmp_path: Path) -> None:
    task, question = "question-answering", "Who lifted it?"
    bundle = made(families, tmp_path, "deberta-v2", task)
    asked = "await classify(...process.argv.slice(2))"
    found = answered(tmp_path, task, asked, [question, TEXTS[0]])
    answer = pipeline(task, bundle, engine="onnxruntime", threads=1)
    expected = answer(question=question, context=TEXTS[0], align_to_words=False)
    assert found["answer"] == expected["answer"]
    assert found["score"] == pytest.approx(expected["score"], abs=TOLERANCE)
