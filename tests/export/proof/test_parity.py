"""An fp32 bundle answers as transformers does, on real sentences and on the odd ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer
from transformers import pipeline as transformers_pipeline

from leanbert import pipeline
from leanbert_export.samples import sample_texts
from tests.helpers.parity import is_newer

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

pytestmark = pytest.mark.slow

ATOL = 1e-5
TIE = 1e-6
SENTENCES = 520
FULL = "profit " * 510  # with [CLS] and [SEP] exactly 512 tokens
EDGES: list[str] = [
    "",
    " ",
    "profit",
    "Profit 📈🚀 to the moon 👩‍👩‍👧",
    "ارتفعت الأرباح التشغيلية, הרווח התפעולי עלה",
    "营业利润上升到一千三百万欧元。",
    "ΟΔΟΣ İstanbul naïve Ångström ﬁnance ½",
    FULL,
    FULL + "fell",
    "sales fell again and " * 1250,
    "tabs\tand\nlines\r\nand\x00NULs\x00\x07\ufeff\u200b",
    "[CLS] [SEP] [MASK] [PAD] [UNK] special",
    "a" * 300,
    "half a \ud83d pair",
]
PAIRS: list[dict[str, str]] = [
    {"text": "Sales rose.", "text_pair": "But the margin fell."},
    {"text": "", "text_pair": "only the second"},
    {"text": "only the first", "text_pair": ""},
    {"text": "short", "text_pair": "the second is long " * 300},
    {"text": "the first is long " * 300, "text_pair": "short"},
    {"text": "both are long " * 300, "text_pair": "and this one too " * 300},
    {"text": "a lone \udcff", "text_pair": "surrogate \ud800 here"},
]


def readable(item: Any) -> Any:
    """What transformers is given: it refuses lone surrogates."""
    if isinstance(item, dict):
        return {key: readable(value) for key, value in item.items()}
    return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in item)


def assert_same_ranking(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Scores label by label, and the order but for ties."""
    expected = {answer["label"]: answer["score"] for answer in theirs}
    found = {answer["label"]: answer["score"] for answer in ours}
    assert len(ours) == len(found)
    assert found == pytest.approx(expected, abs=ATOL, rel=0)
    in_our_order = [expected[answer["label"]] for answer in ours]
    assert all(b <= a + TIE for a, b in pairwise(in_our_order))


def assert_same(ours: Any, theirs: Any) -> None:
    """The same structure to the last bracket, and numbers to 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        assert ours["label"] == theirs["label"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=ATOL, rel=0)
    else:
        assert ours == pytest.approx(theirs, abs=ATOL, rel=0)


def torch_pipeline(task: str, checkpoint: Path, **options: Any) -> Any:
    return transformers_pipeline(task, model=str(checkpoint), device="cpu", **options)


@pytest.fixture(scope="module")
def minilm_torch(workshop: Workshop) -> Any:
    return torch_pipeline("text-classification", workshop.minilm("classifier"), truncation=True)


@pytest.fixture(scope="module")
def minilm(workshop: Workshop) -> Any:
    bundle = workshop.bundle("minilm-classifier")
    return pipeline("text-classification", bundle, truncation=True)


@pytest.fixture(scope="module")
def sentences(data_dir: Path) -> list[str]:
    path = data_dir / "phrasebank" / "Sentences_50Agree.txt"
    if not path.is_file():
        pytest.skip(f"no {path}; set LEANBERT_TEST_DATA to the directory that has phrasebank/")
    lines = path.read_text(encoding="latin-1").splitlines()
    texts = [line.rpartition("@")[0] for line in lines if "@" in line]
    assert len(texts) > SENTENCES
    return texts[:: len(texts) // SENTENCES][:SENTENCES]


@pytest.fixture(scope="module")
def ranked_by_torch(sentences: list[str], minilm_torch: Any) -> list[list[dict[str, Any]]]:
    return ranked(sentences, minilm_torch)


def ranked(sentences: list[str], minilm_torch: Any) -> list[list[dict[str, Any]]]:
    """What transformers answers to the sentences; like lengths together only for speed."""
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    answers = minilm_torch([sentences[i] for i in order], top_k=None, batch_size=16)
    by_index = dict(zip(order, answers, strict=True))
    return [by_index[i] for i in range(len(sentences))]


def test_real_sentences(
    sentences: list[str], minilm: Any, ranked_by_torch: list[list[dict[str, Any]]]
) -> None:
    ours = minilm(sentences, top_k=None)
    assert len(ours) == len(sentences) >= 500
    for one, other in zip(ours, ranked_by_torch, strict=True):
        assert_same_ranking(one, other)
    # The test would prove little if all answers were alike.
    assert len({answer[0]["label"] for answer in ours}) >= 2
    assert np.std([answer[0]["score"] for answer in ours]) > 0.02


def test_sample_texts(minilm: Any, minilm_torch: Any) -> None:
    """Our own texts, in nine languages: they prove parity where no data set is at hand."""
    texts = list(sample_texts())
    assert len(texts) == 200
    ours = minilm(texts, top_k=None)
    for one, other in zip(ours, ranked(texts, minilm_torch), strict=True):
        assert_same_ranking(one, other)


def test_int8_stays_near_on_real_sentences(
    workshop: Workshop, sentences: list[str], ranked_by_torch: list[list[dict[str, Any]]]
) -> None:
    ours = pipeline(None, workshop.bundle("minilm-classifier", "int8"))(sentences, top_k=None)
    same, differences = [], []
    for one, other in zip(ours, ranked_by_torch, strict=True):
        expected = {answer["label"]: answer["score"] for answer in other}
        same.append(one[0]["label"] == other[0]["label"])
        differences += [abs(answer["score"] - expected[answer["label"]]) for answer in one]
    # The random head is harsher than a trained one: its logits lie near each other.
    assert 0 < np.mean(differences) < 0.05
    assert np.mean(same) > 0.9


@pytest.mark.parametrize("text", EDGES, ids=lambda text: ascii(text[:20]))
def test_odd_texts(text: str, minilm: Any, minilm_torch: Any) -> None:
    assert_same_ranking(minilm(text, top_k=None), minilm_torch(readable(text), top_k=None))


def test_the_full_text_is_full(workshop: Workshop) -> None:
    tokenizer = AutoTokenizer.from_pretrained(workshop.minilm("classifier"))
    assert tokenizer.model_max_length == 512
    assert len(tokenizer(FULL)["input_ids"]) == 512
    assert len(tokenizer(FULL + "fell")["input_ids"]) == 513


def test_odd_texts_together_are_as_alone(minilm: Any, minilm_torch: Any) -> None:
    for one, text in zip(minilm(EDGES, top_k=None), EDGES, strict=True):
        assert_same_ranking(one, minilm_torch(readable(text), top_k=None))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: ascii(pair["text"][:12]))
def test_pairs(pair: dict[str, str], minilm: Any, minilm_torch: Any) -> None:
    assert_same_ranking(minilm(pair, top_k=None), minilm_torch(readable(pair), top_k=None))


def test_a_pair_is_not_its_first_text(minilm: Any) -> None:
    (alone,) = minilm("Sales rose.", function_to_apply="none")
    pair = minilm(PAIRS[0], function_to_apply="none")
    assert abs(alone["score"] - pair["score"]) > 1e-3


KINDS = ("classifier", "regression", "one-label", "multi-label")
SHORT = ["profit rose", "Sales fell sharply in Finland, said the board.", "", "营业利润"]


@pytest.fixture(scope="module", params=KINDS)
def twins(request: pytest.FixtureRequest, workshop: Workshop) -> tuple[Any, Any]:
    """Our pipeline and transformers', of one tiny checkpoint."""
    ours = pipeline(None, workshop.bundle(request.param), truncation=True)
    checkpoint = workshop.tiny(request.param)
    return ours, torch_pipeline("text-classification", checkpoint, truncation=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"top_k": 1},
        {"top_k": 2},
        {"top_k": 99},
        {"top_k": None},
        {"function_to_apply": "none"},
        {"function_to_apply": "softmax", "top_k": None},
        {"function_to_apply": "sigmoid", "top_k": None},
        {"function_to_apply": "SIGMOID"},
        {"batch_size": 2},
        {"max_length": 8, "top_k": None},
    ],
    ids=str,
)
def test_arguments_and_structure(twins: tuple[Any, Any], arguments: dict[str, Any]) -> None:
    ours, theirs = twins
    for inputs in (SHORT[0], SHORT, SHORT[:1], PAIRS[0], PAIRS[:2]):
        assert_same(ours(inputs, **arguments), theirs(inputs, **arguments))
    nothing: list[Any] = [] if is_newer() else theirs([], **arguments)  # where it is an error
    assert ours([], **arguments) == nothing


def test_defaults_of_the_pipeline_and_old_pairs(workshop: Workshop) -> None:
    options: dict[str, Any] = {"truncation": True, "top_k": None}
    ours = pipeline("text-classification", workshop.bundle("classifier"), **options)
    theirs = torch_pipeline("text-classification", workshop.tiny(), **options)
    for inputs in (SHORT[0], SHORT, PAIRS[0], [[["a pair", "of the old form"]]], [[["one", ""]]]):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(ours(SHORT[0], top_k=1), theirs(SHORT[0], top_k=1))


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_models_vary(workshop: Workshop, kind: str) -> None:
    ours = pipeline(None, workshop.bundle(kind))
    scores = [answer["score"] for answer in ours(SHORT, function_to_apply="none")]
    assert np.ptp(scores) > 0.1


@pytest.mark.parametrize("kind", ["features", "minilm-features"])
def test_feature_extraction(workshop: Workshop, kind: str) -> None:
    real = kind.removeprefix("minilm-")
    checkpoint = workshop.tiny(kind) if real == kind else workshop.minilm(real)
    theirs = torch_pipeline("feature-extraction", checkpoint, tokenize_kwargs={"truncation": True})
    ours = pipeline("feature-extraction", workshop.bundle(kind), truncation=True)
    texts = [*SHORT, *EDGES]
    vectors = ours(texts)
    assert isinstance(vectors, list)
    assert isinstance(vectors[0][0][0][0], float)
    for vector, text in zip(vectors, texts, strict=True):
        expected = np.array(theirs(readable(text)))
        assert np.array(vector).shape == expected.shape
        np.testing.assert_allclose(np.array(vector), expected, rtol=0, atol=ATOL)
    assert_same(ours(texts[1]), theirs(texts[1]))
    assert_same(ours(texts[:2]), theirs(texts[:2]))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooled_vectors(workshop: Workshop, pooling: str, normalize: bool) -> None:
    checkpoint = workshop.minilm("features")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint).eval()
    texts = [*SHORT, *map(readable, EDGES)]
    expected = []
    with torch.inference_mode():
        for text in texts:
            inputs = tokenizer(text, truncation=True, return_tensors="pt")
            hidden = model(**inputs).last_hidden_state[0]
            vector = hidden.mean(dim=0) if pooling == "mean" else hidden[0]
            if normalize:
                vector = torch.nn.functional.normalize(vector, dim=0)
            expected.append(vector.numpy())
    ours: Any = pipeline("feature-extraction", workshop.bundle("minilm-features"), truncation=True)
    found = ours(texts, pooling=pooling, normalize=normalize, return_tensors="np")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=ATOL)
    as_lists = ours(texts[:2], pooling=pooling, normalize=normalize)
    np.testing.assert_allclose(as_lists, found[:2], rtol=0, atol=ATOL)
