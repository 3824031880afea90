"""A model answers the tasks of its head, on every engine, and says so when asked for another."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import LeanBertWarning, pipeline
from leanbert.engines.native import binding
from leanbert.engines.native.engine import NativeEngine
from leanbert.errors import EngineError, TaskError
from leanbert.pipelines import TASKS
from leanbert.tokenization import Tokenizer
from tests.helpers import native_bundles, tiny_bundles
from tests.helpers.native_reference import reference

DOES: dict[str, set[str]] = {
    "text-classification": {"text-classification", "zero-shot-classification", "text-ranking"},
    "token-classification": {"token-classification"},
    "question-answering": {"question-answering"},
    "fill-mask": {"fill-mask"},
    "feature-extraction": {"feature-extraction"},
}
"""The tasks of each head."""
ARCHITECTURES = {
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "question-answering": "BertForQuestionAnswering",
    "fill-mask": "BertForMaskedLM",
    "feature-extraction": "BertModel",
}
LABELS = ("contradiction", "neutral", "entailment")  # zero-shot asks for the last


def test_every_task_has_a_head() -> None:
    assert set().union(*DOES.values()) == set(TASKS)


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("head", DOES)
def test_a_head_does_its_tasks_and_no_other(
    make_bundle: Callable[..., Path], head: str, manifest: bool
) -> None:
    config = {"architectures": [ARCHITECTURES[head]]}
    path = make_bundle(task=head, labels=LABELS, manifest=manifest, config=config)
    for task in TASKS:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*so nothing of it is verified")
            if task in DOES[head]:
                assert pipeline(task, path, threads=1).task == task
                continue
            with pytest.raises(TaskError, match=f"{task} needs the output") as caught:
                pipeline(task, path, threads=1)
        message = str(caught.value)
        assert "\n" not in message
        assert f"the checkpoint's head is for {head}" in message
        assert (f"it was exported for {head}" in message) == manifest


def test_a_head_that_is_not_named(make_bundle: Callable[..., Path]) -> None:
    path = make_bundle(task="token-classification", manifest=False)
    with (
        pytest.warns(LeanBertWarning),
        pytest.raises(
            TaskError,
            match=r"of each text, the model gives logits of each token \(tokens x \d\); exp",
        ),
    ):
        pipeline("text-classification", path)
    with pytest.warns(LeanBertWarning):
        assert pipeline("ner", path).task == "token-classification"
    with pytest.raises(TaskError, match="no embedded model does token-classification"):
        pipeline("ner")


@pytest.fixture(scope="module")
def answers_natively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (reason := binding.why_no_library()) is not None:
        pytest.skip(f"no native engine here: {reason}")
    folder = tmp_path_factory.mktemp("native") / "answers"
    return native_bundles.build(folder, "question-answering", head="every_token", labels=2)


def test_the_native_engine_gives_starts_and_ends_apart(answers_natively: Path) -> None:
    answer = pipeline("question-answering", answers_natively, threads=1, engine="native")
    engine = answer.runner.engine
    assert isinstance(engine, NativeEngine)
    assert engine.output_names == ("start_logits", "end_logits")
    assert engine.output_ranks == {"start_logits": 2, "end_logits": 2}
    pairs: list[Any] = [("who rose", "profit rose"), ("who fell", "sales fell in the quarter")]
    encodings = Tokenizer(answers_natively / "tokenizer.json", 32).encode(pairs)
    outputs = engine.run(encodings)
    made = native_bundles.model("question-answering", head="every_token", labels=2)
    for i in range(2):
        place = encodings.place(i)
        ids, types = encodings.input_ids[place], encodings.token_type_ids[place]
        wanted = reference(made, ids, types)
        for column, name in enumerate(engine.output_names):
            got = outputs[name][place]
            np.testing.assert_allclose(got, wanted[:, column], atol=0.05, rtol=0)
            assert np.abs(got - wanted[:, 1 - column]).max() > 0.3
    found = answer(question="who rose", context="profit rose")
    assert found["answer"] == "profit rose"[found["start"] : found["end"]]


def test_a_native_head_of_another_width(answers_natively: Path, tmp_path: Path) -> None:
    three = native_bundles.build(
        tmp_path / "three", "question-answering", head="every_token", labels=3
    )
    with pytest.raises(EngineError, match="3 columns for question-answering, not one each for"):
        pipeline("question-answering", three, engine="native")
    assert pipeline("question-answering", three).runner.engine.name == "onnxruntime"
    assert tiny_bundles.read_content(answers_natively)["task"] == "question-answering"
