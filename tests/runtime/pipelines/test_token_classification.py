"""Entities are those of transformers' pipeline, for every kind of tokenizer and argument."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leanbert import LeanBertWarning, pipeline
from leanbert.errors import InputError
from leanbert.pipelines.entities import STRATEGIES
from leanbert_export.samples import sample_texts
from tests.helpers.parity import check_same, is_newer
from tests.helpers.real_texts import AWKWARD, LONG, entity_texts

pytestmark = pytest.mark.slow

TASK = "token-classification"
FAMILIES = ["bert", "bert-cased", "roberta", "distilbert", "electra", "albert"]
FAMILIES += ["xlm-roberta", "mpnet", "deberta-v2", "modernbert"]
OF_EACH_KIND = ["bert", "roberta", "albert"]  # WordPiece, BPE of bytes, Unigram


def ours(workshop: Any, family: str, **options: Any) -> Any:
    with pytest.warns(LeanBertWarning, match=r"no leanbert\.json"):
        return pipeline(TASK, workshop.plain(family, TASK), threads=1, **options)


def check_strategies(workshop: Any, family: str, texts: list[str]) -> None:
    """Every strategy on every text; transformers runs the model once for all of them."""
    answer, reference = ours(workshop, family, truncation=True), workshop.reference(family, TASK)
    outputs = []
    for text in texts:
        inputs = reference.preprocess(text, is_split_into_words=False)
        outputs.append([reference.forward(window) for window in inputs])
    found: set[str] = set()
    for strategy in STRATEGIES:
        options = reference._sanitize_parameters(aggregation_strategy=strategy)[2]
        ignored = None if strategy in ("simple", "average") else ["PER", "LOC", "B-ORG"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that byte-level BPE knows no words
            wanted = [
                reference.postprocess(windows, ignore_labels=ignored, **options)
                for windows in outputs
            ]
        got = answer(texts, aggregation_strategy=strategy, ignore_labels=ignored)
        check_same(got, wanted)
        key = "entity" if strategy == "none" else "entity_group"
        found |= {entity[key] for entities in got for entity in entities}
    assert len({"PER", "ORG", "LOC", "MISC", "O", "B-PER", "I-ORG"} & found) >= 6


@pytest.mark.parametrize("family", FAMILIES)
def test_entities_in_real_texts(real_families: Any, data_dir: Path, family: str) -> None:
    texts = entity_texts(data_dir, 30, seed=FAMILIES.index(family))
    check_strategies(real_families, family, [*texts, *AWKWARD])


@pytest.mark.parametrize("family", OF_EACH_KIND)
def test_entities_by_every_kind_of_tokenizer(families: Any, family: str) -> None:
    check_strategies(families, family, [*sample_texts()[::8], *AWKWARD, LONG])


@pytest.mark.parametrize("family", OF_EACH_KIND)
def test_long_texts_in_windows(families: Any, family: str) -> None:
    answer, reference = ours(families, family), families.reference(family, TASK)
    texts = [" ".join(sample_texts()[:12]), "London", ""]
    for options in (
        {"aggregation_strategy": "simple", "stride": 0},
        {"aggregation_strategy": "first", "stride": 17},
        {"aggregation_strategy": "max", "stride": 64},
        {"stride": 20},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = reference(texts, **options)
        got = answer(texts, **options)
        check_same(got, wanted)
        assert got[0][-1]["end"] > len(texts[0]) * 3 // 4  # to its end
        check_same(answer(texts[0], **options), wanted[0])
    check_same(answer(LONG, **options), reference(LONG, **options))


def test_results_have_transformers_structure(families: Any) -> None:
    answer, reference = ours(families, "bert"), families.reference("bert", TASK)
    one, many = sample_texts()[0], list(sample_texts()[:3])
    for inputs in (one, [one], many):
        check_same(answer(inputs), reference(inputs))
    check_same(answer(tuple(many)), reference(many))
    assert answer([]) == []
    stream = answer(text for text in many)
    assert isinstance(stream, Iterator)
    check_same(list(stream), list(reference(text for text in many)))
    check_same(list(answer.stream(many)), reference(many))
    kept = ours(families, "bert", aggregation_strategy="first", ignore_labels=[])
    check_same(kept(one), reference(one, aggregation_strategy="first", ignore_labels=[]))
    check_same(kept(one, ignore_labels=["O"]), reference(one, aggregation_strategy="first"))


def test_texts_that_come_as_words(families: Any) -> None:
    answer, reference = ours(families, "bert"), families.reference("bert", TASK)
    words = [text.split() for text in [*sample_texts()[:20], "x", "Ünïcode 🚀 e\u0301"]]
    for options in ({}, {"delimiter": ""}, {"delimiter": "--", "aggregation_strategy": "first"}):
        given = {"is_split_into_words": True, **options}
        check_same(answer(words, **given), reference(words, **given))
    check_same(
        answer(words[0], is_split_into_words=True), reference(words[0], is_split_into_words=True)
    )
    with pytest.raises(InputError, match=r"^text 1: expected a list of words"):
        answer([["a"], ["b", 3]], is_split_into_words=True)


def test_the_deprecated_arguments(families: Any) -> None:
    answer, reference = ours(families, "bert"), families.reference("bert", TASK)
    text = sample_texts()[1]
    meant: list[tuple[dict[str, Any], str]] = [
        ({"grouped_entities": True}, "simple"),
        ({"grouped_entities": False}, "none"),
        ({"grouped_entities": True, "ignore_subwords": True}, "first"),
        ({"ignore_subwords": True}, "none"),
    ]
    for options, strategy in meant:
        with pytest.warns(LeanBertWarning, match="deprecated"):
            got = answer(text, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_same(got, reference(text, aggregation_strategy=strategy))
            if not is_newer():  # which does not take them any more
                check_same(got, reference(text, **options))


def test_a_long_text_is_cut_as_by_transformers(families: Any) -> None:
    answer, reference = ours(families, "bert"), families.reference("bert", TASK)
    check_same(answer(LONG, truncation=True), reference(LONG))
    with pytest.warns(LeanBertWarning, match=r"^text 0: cut to 128 tokens"):
        answer(LONG)
    with pytest.raises(InputError, match="longer than 128"):
        answer(LONG, truncation=False)
    assert answer(LONG, truncation=True, max_length=20)[-1]["index"] < 19


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_batches_change_nothing(families: Any, mode: str) -> None:
    with pytest.warns(LeanBertWarning):
        answer = pipeline("ner", families.plain("bert", TASK), threads=2, mode=mode)
    texts = [" ".join(sample_texts()[i : i + 1 + i % 9]) for i in range(40)]
    random.Random(1).shuffle(texts)  # noqa: S311
    options = {"aggregation_strategy": "average", "stride": 12}
    alone = [answer(text, **options) for text in texts]
    check_same(answer(texts, **options), alone)
    check_same(answer(texts, batch_size=4, **options), alone)


def test_threads_may_ask_for_different_windows(families: Any) -> None:
    answer = ours(families, "roberta", aggregation_strategy="max")
    text = " ".join(sample_texts()[:9])
    alone = [answer(text, stride=stride) for stride in range(0, 90, 10)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: answer(text, stride=i % 9 * 10), range(54)))
    assert found == alone * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aggregation_strategy": "last"}, "aggregation_strategy is 'last'; expected one of none"),
        ({"stride": -1, "aggregation_strategy": "first"}, "stride is -1"),
        ({"stride": True, "aggregation_strategy": "first"}, "stride is True"),
        ({"stride": 126, "aggregation_strategy": "first"}, "stride is 126; windows of 128 tokens"),
        ({"stride": 4, "aggregation_strategy": "none"}, "stride reads a text in windows"),
        ({"ignore_labels": "O"}, "ignore_labels is 'O'"),
        ({"offset_mapping": [(0, 1)]}, "unknown argument offset_mapping"),
    ],
)
def test_arguments_that_cannot_be_used(families: Any, options: Any, message: str) -> None:
    answer = ours(families, "bert")
    with pytest.raises(InputError, match=message):
        answer("London", **options)


@pytest.mark.parametrize("wrong", [3, None, {"text": "a"}, ["a"]])
def test_inputs_that_are_no_texts(families: Any, wrong: object) -> None:
    answer = ours(families, "bert")
    with pytest.raises(InputError, match=r"^text 1: expected a string"):
        answer(["London", wrong])
