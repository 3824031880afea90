"""The C library's answers are those of the Python pipelines, bit for bit."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanbert import pipeline
from tests.helpers import tiny_words
from tests.helpers.c_library import AGGREGATIONS, EMBEDDED, CLibraryError, Model
from tests.helpers.native_families import deberta, modernbert, mpnet, nomic
from tests.helpers.real_texts import AWKWARD, LONG
from tests.helpers.sentence_directories import describe
from tests.native.c_library.sealing import TAGS, change, write_config

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = (ROOT / "export/leanbert_export/sample_texts.txt").read_text(encoding="utf-8")
TEXTS = [*AWKWARD, *SAMPLE.splitlines(), LONG]


def tiny_texts(count: int, seed: int = 3) -> list[str]:
    """Texts of the tiny tokenizer's words, some of them spelled in pieces, and some cut."""
    rng = np.random.default_rng(seed)
    words = [*tiny_words.VOCABULARY[5:], "Growths", "zürich", "profit's", "αβγ", "13.1"]
    words = [word.removeprefix("##") for word in words]
    lengths = rng.integers(1, 40, count)
    return [" ".join(rng.choice(words, length)) for length in lengths] + AWKWARD


def same_bits(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> bool:
    a, b = np.asarray(ours, np.float32), np.asarray(theirs, np.float32)
    return a.shape == b.shape and bool((a.view(np.uint32) == b.view(np.uint32)).all())


def scores_of(classify: Any, texts: Sequence[str], **options: Any) -> list[list[float]]:
    """The scores of all labels in the order of the logits."""
    labels = classify.labels
    answers = classify(list(texts), top_k=None, truncation=True, **options)
    by_label = [{one["label"]: one["score"] for one in answer} for answer in answers]
    return [[scores[label] for label in labels] for scores in by_label]


@pytest.fixture(scope="module")
def classify() -> Any:
    return pipeline("text-classification", EMBEDDED, threads=1, engine="native")


def test_the_embedded_model_scores_every_text_as_python_does(
    embedded: Model, classify: Any
) -> None:
    assert embedded.labels == list(classify.labels)
    assert len(TEXTS) > 200
    assert same_bits(embedded.classify(TEXTS), scores_of(classify, TEXTS))


def test_real_texts_are_scored_as_python_does(
    embedded: Model, classify: Any, data_dir: Path
) -> None:
    path = data_dir / "twitter_financial_news" / "sent_valid.csv"
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][:200]
    lines = (data_dir / "phrasebank/Sentences_50Agree.txt").read_bytes().splitlines()[:200]
    texts += [line.decode("latin-1").rpartition("@")[0] for line in lines]
    assert same_bits(embedded.classify(texts), scores_of(classify, texts))


def test_scores_do_not_depend_on_company_or_threads(embedded: Model) -> None:
    texts = TEXTS[:40]
    together = embedded.classify(texts)
    assert same_bits(together, np.concatenate([embedded.classify([text]) for text in texts]))
    with Model(EMBEDDED, threads=3) as threaded:
        assert same_bits(together, threaded.classify(texts))


def test_long_texts_are_cut_and_said_to_be(embedded: Model) -> None:
    cut = np.full(3, 7, np.uint8)
    embedded.classify(["short", LONG, ""], cut=cut)
    assert cut.tolist() == [0, 1, 0]


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_a_function_may_be_asked_for(embedded: Model, classify: Any, function: str) -> None:
    texts = TEXTS[:30]
    theirs = scores_of(classify, texts, function_to_apply=function)
    assert same_bits(embedded.classify(texts, function), theirs)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"problem_type": "multi_label_classification"},
        {"problem_type": "regression"},
        {"problem_type": "single_label_classification"},
    ],
    ids=lambda config: config.get("problem_type", "none"),
)
@pytest.mark.parametrize("labels", [1, 2, 40])
def test_classifiers_of_every_kind_answer_as_python_does(
    make_native: Callable[..., Path], config: dict[str, str], labels: int
) -> None:
    path = write_config(make_native(labels=[f"label {i}" for i in range(labels)]), **config)
    texts = tiny_texts(12)
    with Model(path) as model:
        ours = model.classify(texts)
    assert same_bits(
        ours, scores_of(pipeline("text-classification", path, threads=1, engine="native"), texts)
    )


@pytest.mark.parametrize("family", [mpnet, deberta, nomic, modernbert], ids=lambda f: f.__name__)
def test_layouts_of_other_encoders_answer_as_python_does(
    make_native: Callable[..., Path], family: Any
) -> None:
    path = make_native(extend=family, types=0)
    texts = tiny_texts(12)
    with Model(path) as model:
        ours = model.classify(texts)
    classify = pipeline("text-classification", path, threads=1, engine="native")
    assert same_bits(ours, scores_of(classify, texts))


def test_labels_are_named_as_python_names_them(make_native: Callable[..., Path]) -> None:
    path = make_native(labels=["a", "b", "c"])
    names = {"2": "zwölf", "0": 7, "1": "a b\tc"}
    with Model(write_config(path, id2label=names)) as model:
        assert model.labels == ["7", "a b\tc", "zwölf"]
    with Model(write_config(path, id2label=None, num_labels=3)) as model:
        assert model.labels == ["LABEL_0", "LABEL_1", "LABEL_2"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("labels", [TAGS, ("O", "ORG", "B-", "I-x-y")], ids=["tags", "odd"])
def test_entities_are_those_of_python(
    make_native: Callable[..., Path], aggregation: str, labels: Sequence[str]
) -> None:
    path = make_native("token-classification", labels)
    tagger: Any = pipeline("token-classification", path, threads=1, engine="native")
    texts = tiny_texts(40)
    key = "entity" if aggregation == "none" else "entity_group"
    answers = tagger(texts, aggregation_strategy=aggregation, truncation=True)
    with Model(path) as model:
        found = model.tag(texts, aggregation)
    assert sum(map(len, answers)) > 50
    for text, theirs, ours in zip(texts, answers, found, strict=True):
        assert [one.label for one in ours] == [one[key] for one in theirs]
        assert same_bits([one.score for one in ours], [one["score"] for one in theirs])
        data = text.encode()
        for one, other in zip(ours, theirs, strict=True):
            assert data[one.begin : one.end].decode() == text[other["start"] : other["end"]]
            assert one.begin == len(text[: other["start"]].encode())
            if aggregation == "none":
                assert one.token == other["index"]


POOLINGS: list[tuple[Any, tuple[str, ...], dict[str, Any]]] = [
    (("mean",), ("2_Normalize",), {}),
    (("cls",), (), {}),
    (("max",), (), {}),
    (("lasttoken",), ("2_Normalize",), {}),
    (("weightedmean",), (), {}),
    (("mean_sqrt_len_tokens",), (), {}),
    (("cls", "mean"), ("2_Normalize",), {"truncate_dim": 70}),
    (("mean",), ("2_Dropout", "3_Normalize"), {"truncate_dim": 9}),
    (
        ("mean",),
        ("2_Normalize",),
        {"prompts": {"query": "the bank: "}, "default_prompt_name": "query"},
    ),
]


@pytest.mark.parametrize(("pooling", "steps", "settings"), POOLINGS)
def test_embeddings_are_those_of_python(
    make_native: Callable[..., Path],
    pooling: Sequence[str],
    steps: Sequence[str],
    settings: dict[str, Any],
) -> None:
    path = make_native("feature-extraction")
    change(describe(path, pooling, steps, settings=settings))
    embed = pipeline("feature-extraction", path, threads=1, engine="native")
    texts = tiny_texts(25)
    with Model(path) as model:
        ours = model.embed(texts)
    assert same_bits(ours, embed(texts, truncation=True))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("hidden", [32, 384])
def test_a_pooling_may_be_asked_for(
    make_native: Callable[..., Path], pooling: Any, normalize: bool, hidden: int
) -> None:
    path = make_native("feature-extraction", hidden=hidden, heads=2 if hidden == 32 else 12)
    embed = pipeline("feature-extraction", path, threads=1, engine="native")
    texts = tiny_texts(25)
    with Model(path) as model:
        ours = model.embed(texts, pooling, normalize=normalize)
        with pytest.raises(CLibraryError, match=r"does not say how the vectors .* give a pooling"):
            model.embed(texts)
    theirs = embed(texts, pooling=pooling, normalize=normalize, truncation=True)
    assert same_bits(ours, theirs)
