"""Results have the structure of transformers' pipelines; arguments are checked."""

from __future__ import annotations

import itertools
import json
import math
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import Bundle, pipeline
from leanbert.errors import InputError, LeanBertError, TaskError
from leanbert.pipelines import TASKS
from leanbert.pipelines.feature_extraction import FeatureExtractionPipeline
from leanbert.pipelines.text_classification import TextClassificationPipeline
from tests.helpers import tiny_bundles
from tests.helpers.tiny_bundles import LABELS, WIDTH, Tiny, probabilities, reference

GOOD, BAD = "profit rose", "a bad loss"
PAIR = {"text": GOOD, "text_pair": BAD}
EMBEDDING = Tiny(task="feature-extraction")


def best(text: str, pair: str | None = None) -> dict[str, Any]:
    wanted = probabilities(Tiny(), text, pair)
    top = max(range(len(wanted)), key=lambda i: wanted[i])
    return {"label": LABELS[top], "score": pytest.approx(wanted[top], abs=1e-6)}


def ranked(text: str, count: int = 3) -> list[dict[str, Any]]:
    wanted = sorted(zip(probabilities(Tiny(), text), LABELS, strict=True), reverse=True)
    return [
        {"label": label, "score": pytest.approx(score, abs=1e-6)} for score, label in wanted[:count]
    ]


def test_one_text_gives_a_list_with_one_dictionary(classify: Any) -> None:
    assert classify(GOOD) == [best(GOOD)]
    assert best(GOOD)["label"] == "positive"
    assert best(BAD)["label"] == "negative"


def test_a_list_gives_a_list_of_dictionaries(classify: Any) -> None:
    assert classify([GOOD, BAD, GOOD]) == [best(GOOD), best(BAD), best(GOOD)]
    assert classify((GOOD, BAD)) == [best(GOOD), best(BAD)]
    assert classify([GOOD]) == [best(GOOD)]
    assert classify([]) == []


def test_pairs(classify: Any) -> None:
    assert classify(PAIR) == best(GOOD, BAD)
    assert classify({"text": GOOD}) == best(GOOD)
    assert classify([[[GOOD, BAD]]]) == [best(GOOD, BAD)]
    assert classify([PAIR, GOOD]) == [best(GOOD, BAD), best(GOOD)]


@pytest.mark.parametrize("top_k", [1, 2, 3, 50, None])
def test_top_k_gives_lists(classify: Any, top_k: int | None) -> None:
    count = 3 if top_k is None else min(3, top_k)
    assert classify(GOOD, top_k=top_k) == ranked(GOOD, count)
    assert classify([GOOD, BAD], top_k=top_k) == [ranked(GOOD, count), ranked(BAD, count)]
    assert list(classify(iter([GOOD]), top_k=top_k)) == [ranked(GOOD, count)]


def test_a_default_top_k(tiny_bundle: Path) -> None:
    classify = pipeline("text-classification", tiny_bundle, top_k=None)
    assert classify(GOOD) == [ranked(GOOD)]  # as transformers, which wraps the list once more
    assert classify([GOOD, BAD]) == [ranked(GOOD), ranked(BAD)]
    assert classify(PAIR)[0] == best(GOOD, BAD)
    assert classify(GOOD, top_k=2) == ranked(GOOD, 2)


def test_an_iterator_gives_a_lazy_iterator(classify: Any) -> None:
    drawn = 0

    def endless() -> Iterator[str]:
        nonlocal drawn
        for i in itertools.count():
            drawn += 1
            yield (GOOD, BAD)[i % 2]

    answers = classify(endless())
    assert drawn == 0
    assert isinstance(answers, Iterator)
    first = list(itertools.islice(answers, 3))
    assert first == [best(GOOD), best(BAD), best(GOOD)]
    assert drawn <= 5  # the first by itself, then at most 4, 16 and so on
    list(itertools.islice(answers, 2046))
    assert 2049 <= drawn <= 1 + 4 + 16 + 64 + 256 + 1024 + 2048


def test_stream_is_lazy_for_a_list_too(classify: Any) -> None:
    answers = classify.stream([GOOD, 7], top_k=1)
    assert isinstance(answers, Iterator)
    with pytest.raises(InputError, match="text 1"):
        next(answers)
    assert list(classify.stream([GOOD, BAD])) == [best(GOOD), best(BAD)]
    assert list(classify.stream([])) == []


def test_other_iterables(classify: Any) -> None:
    assert list(classify({GOOD: 1}.keys())) == [best(GOOD)]
    assert list(classify(map(str.lower, [GOOD.upper()]))) == [best(GOOD)]


@pytest.mark.parametrize("inputs", [None, 3, b"profit", bytearray(b"profit"), object()])
def test_inputs_that_are_no_texts(classify: Any, embed: Any, inputs: object) -> None:
    for answerer in (classify, embed):
        with pytest.raises(InputError, match="expected a text"):
            answerer(inputs)


def scores(found: list[dict[str, Any]]) -> list[float]:
    by_label = {item["label"]: item["score"] for item in found}
    return [by_label[label] for label in sorted(by_label)]


@pytest.mark.parametrize("function", ["sigmoid", "softmax", "none", "SIGMOID", "None"])
def test_function_to_apply(classify: Any, function: str) -> None:
    values = dict(zip(LABELS, map(float, reference(Tiny(), GOOD)), strict=True))
    wanted = [values[label] for label in sorted(LABELS)]
    if function.lower() == "sigmoid":
        wanted = [1 / (1 + math.exp(-value)) for value in wanted]
    elif function == "softmax":
        total = sum(map(math.exp, wanted))
        wanted = [math.exp(value) / total for value in wanted]
    found = classify(GOOD, top_k=None, function_to_apply=function)
    assert scores(found) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, "softmax"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({"labels": ("up",)}, "sigmoid"),
        ({"labels": ("up",), "problem_type": "regression"}, "none"),
        ({"labels": ("a", "b", "c", "d", "e")}, "softmax"),
    ],
)
def test_the_config_chooses_the_function(
    make_bundle: Callable[..., Path], options: dict[str, Any], function: str
) -> None:
    classify = pipeline(model=make_bundle(**options))
    found = classify([GOOD, BAD], top_k=None)
    assert found == classify([GOOD, BAD], top_k=None, function_to_apply=function)
    for other in {"softmax", "sigmoid", "none"} - {function}:
        assert found != classify([GOOD, BAD], top_k=None, function_to_apply=other)
    logit = float(reference(Tiny(**options), GOOD)[0])
    label = options.get("labels", LABELS)[0]
    raw = classify(GOOD, top_k=None, function_to_apply="none")
    assert {item["label"]: item["score"] for item in raw}[label] == pytest.approx(logit, abs=1e-5)


def test_answers_are_plain_python(classify: Any, embed: Any) -> None:
    for answer in (classify(GOOD), classify([GOOD], top_k=None)[0]):
        assert {type(item["label"]) for item in answer} == {str}
        assert {type(item["score"]) for item in answer} == {float}
        assert json.loads(json.dumps(answer)) == answer
    vectors = embed([GOOD], pooling="mean")
    assert type(vectors[0][0]) is float
    json.dumps([vectors, embed(GOOD)])


@pytest.mark.parametrize("top_k", [0, -1, 1.5, "all"])
def test_a_top_k_that_is_none(classify: Any, top_k: object) -> None:
    with pytest.raises(InputError, match="top_k is"):
        classify(GOOD, top_k=top_k)


def test_arguments_that_are_unknown(
    classify: Any, embed: Any, tiny_bundle: Path, tiny_features: Path
) -> None:
    with pytest.raises(InputError, match=r"unknown argument pooling, topk; text-classification"):
        classify(GOOD, topk=3, pooling="mean")
    with pytest.raises(InputError, match="unknown argument top_k; feature-extraction takes"):
        embed(GOOD, top_k=3)
    with pytest.raises(InputError, match="unknown argument topk"):
        pipeline(model=tiny_bundle, topk=3)
    with pytest.raises(InputError, match="function_to_apply is 'tanh'"):
        classify(GOOD, function_to_apply="tanh")
    with pytest.raises(InputError, match="pooling is 'median'"):
        embed(GOOD, pooling="median")
    with pytest.raises(InputError, match="return_tensors is 'pt'"):
        embed(GOOD, return_tensors="pt")
    with pytest.raises(InputError, match="threads is 0"):
        pipeline(model=tiny_features, threads=0)
    with pytest.raises(InputError, match="model must be a path or a Bundle, got int"):
        pipeline("text-classification", 3)  # type: ignore[call-overload]


def test_arguments_that_change_nothing(classify: Any) -> None:
    assert classify(GOOD, padding=True, num_workers=4) == [best(GOOD)]


def test_tasks(tiny_bundle: Path, tiny_features: Path) -> None:
    assert {"text-classification", "feature-extraction"} <= set(TASKS)
    assert type(pipeline(model=tiny_bundle)) is TextClassificationPipeline
    assert type(pipeline("sentiment-analysis", str(tiny_bundle))) is TextClassificationPipeline
    assert type(pipeline(model=Bundle.open(tiny_features))) is FeatureExtractionPipeline
    with pytest.raises(TaskError, match="unknown task 'summarization'"):
        pipeline("summarization", tiny_bundle)
    with pytest.raises(TaskError, match=r"needs the output last_hidden_state.*gives logits"):
        pipeline("feature-extraction", tiny_bundle)
    with pytest.raises(TaskError, match="exported for feature-extraction"):
        pipeline("text-classification", tiny_features)
    with pytest.raises(ValueError, match="unknown task"):
        pipeline("translation")


def test_errors_are_caught_by_one_class(classify: Any) -> None:
    with pytest.raises(LeanBertError):
        classify([3])
    with pytest.raises(ValueError, match="text 0"):
        classify([3])


def test_pickle_carries_the_recipe_only(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle.parent)
    classify = pipeline("text-classification", tiny_bundle.name, threads=1, top_k=2)
    data = pickle.dumps(classify)
    assert len(data) < 2000
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(data)  # noqa: S301
    assert again([GOOD, BAD]) == [ranked(GOOD, 2), ranked(BAD, 2)]
    assert (again.threads, again.defaults) == (1, {"top_k": 2})


def pooled(text: str, pooling: str) -> Any:
    hidden = reference(EMBEDDING, text)
    return hidden.mean(axis=0) if pooling == "mean" else hidden[0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [False, True])
def test_embeddings(embed: Any, pooling: str, normalize: bool) -> None:
    texts = [GOOD, "sales in the first quarter were higher than a year ago", BAD]
    wanted = np.array([pooled(text, pooling) for text in texts])
    if normalize:
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    options = {"pooling": pooling, "normalize": normalize}
    found = embed(texts, **options)
    assert isinstance(found, list)
    assert isinstance(found[0], list)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    one = embed(GOOD, **options)
    assert len(one) == WIDTH
    np.testing.assert_allclose(one, wanted[0], atol=1e-5)
    array = embed(texts, return_tensors="np", **options)
    assert array.dtype == np.float32
    assert array.shape == (3, WIDTH)
    np.testing.assert_allclose(array, wanted, atol=1e-5)
    assert embed(GOOD, return_tensors=True, **options).shape == (WIDTH,)
    streamed = list(embed(iter(texts), **options))
    np.testing.assert_allclose(streamed, wanted, atol=1e-5)


def test_token_vectors(embed: Any) -> None:
    long = "sales in the first quarter"
    found = embed([GOOD, long])  # one batch: the padding of the first must go
    assert np.shape(found[0]) == (1, 4, WIDTH)
    assert np.shape(found[1]) == (1, 7, WIDTH)
    np.testing.assert_allclose(found[0][0], reference(EMBEDDING, GOOD), atol=1e-5)
    np.testing.assert_allclose(found[1][0], reference(EMBEDDING, long), atol=1e-5)
    assert np.shape(embed(GOOD)) == (1, 4, WIDTH)
    assert np.shape(embed({"text": GOOD, "text_pair": BAD})) == (1, 8, WIDTH)
    arrays = embed([GOOD, long], return_tensors="np", pooling=None)
    assert [array.shape for array in arrays] == [(1, 4, WIDTH), (1, 7, WIDTH)]
    assert all(array.base is None for array in arrays)
    vectors = embed(GOOD, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(vectors[0], axis=1), np.ones(4), atol=1e-6)
    assert embed([]) == []


def test_defaults_of_embeddings(tiny_features: Path) -> None:
    embed = pipeline(model=tiny_features, pooling="cls", return_tensors="np")
    np.testing.assert_allclose(embed(GOOD), pooled(GOOD, "cls"), atol=1e-5)
    np.testing.assert_allclose(embed(GOOD, pooling="mean"), pooled(GOOD, "mean"), atol=1e-5)
    assert np.shape(embed(GOOD, pooling=None)) == (1, 4, WIDTH)


def test_threads_are_those_asked_for(tiny_bundle: Path) -> None:
    wanted = pipeline(model=tiny_bundle, threads=1)([GOOD, BAD], top_k=None)
    found = pipeline(model=tiny_bundle, threads=3)([GOOD, BAD], top_k=None)
    assert [scores(item) for item in found] == [
        pytest.approx(scores(item), abs=1e-6) for item in wanted
    ]


def test_results_equal_those_of_the_reference_for_real_texts(classify: Any, data_dir: Path) -> None:
    path = data_dir / "phrasebank" / "Sentences_AllAgree.txt"
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = path.read_text(encoding="latin-1").splitlines()[:: 2264 // 150]
    texts = [line.rpartition("@")[0] for line in lines]
    assert len(texts) >= 100
    for text, found in zip(texts, classify(texts, top_k=None, truncation=True), strict=True):
        values = {item["label"]: item["score"] for item in found}
        wanted = probabilities(Tiny(), text)
        assert [values[label] for label in tiny_bundles.LABELS] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_pickled_pipeline_answers_in_another_process(classify: Any) -> None:
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(classify, ([GOOD, BAD],)) == classify([GOOD, BAD])
