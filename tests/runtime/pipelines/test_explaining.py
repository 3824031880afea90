"""A word's share is the score of the text minus that of the text without the word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import InputError
from leanbert.pipelines.text_classification import TextClassificationPipeline
from tests.helpers.tiny_bundles import LABELS, Tiny, probabilities

TEXT = "Profit rose to a record, and debt was bad!"
WORDS = ["Profit", "rose", "to", "a", "record", "and", "debt", "was", "bad"]
DOCUMENT = "  Profit rose to a record. The debt is bad!\n\nIt said so today.\n"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length in tokens of each row that was computed."""
    computed: list[int] = []
    keep = TextClassificationPipeline.keep

    def counted(self: Any, outputs: Any, batch: Any, options: Any) -> Any:
        computed.extend(batch.lengths.tolist())
        return keep(self, outputs, batch, options)

    monkeypatch.setattr(TextClassificationPipeline, "keep", counted)
    return computed


def without(text: str, word: dict[str, Any]) -> str:
    return text[: word["start"]] + text[word["end"] :]


def test_shares_are_differences_of_scores(classify: Any) -> None:
    found = classify.explain(TEXT)
    scores = probabilities(Tiny(), TEXT)
    best = max(range(3), key=scores.__getitem__)
    assert found["label"] == LABELS[best]
    assert found["score"] == pytest.approx(scores[best], abs=1e-5)
    assert [word["word"] for word in found["words"]] == WORDS
    for word in found["words"]:
        assert TEXT[word["start"] : word["end"]] == word["word"]
        left = probabilities(Tiny(), without(TEXT, word))[best]
        assert word["share"] == pytest.approx(scores[best] - left, abs=1e-5)
    assert max(abs(word["share"]) for word in found["words"]) > 1e-3


def test_another_label_than_the_best(classify: Any) -> None:
    scores = probabilities(Tiny(), TEXT)
    for i, label in enumerate(LABELS):
        found = classify.explain(TEXT, label=label)
        assert (found["label"], found["score"]) == (label, pytest.approx(scores[i], abs=1e-5))
    shares = [sum(classify.explain(TEXT, label=label)["words"][0]["share"] for label in LABELS)]
    assert shares == pytest.approx([0], abs=1e-5)  # probabilities sum to 1 with and without it


def test_natively_the_same_bits_every_time_and_in_any_company() -> None:
    classify = pipeline("text-classification", engine="native")
    text = "Operating profit rose to EUR 13.1 mn, despite weak sales."
    one = classify.explain(text)
    assert classify(text) == [{"label": one["label"], "score": one["score"]}]
    assert classify.explain(["Sales fell.", text, text])[1:] == [one, one]
    assert classify.explain(text, batch_size=1) == one
    other = pipeline("text-classification", engine="native", mode="throughput", threads=2)
    assert other.explain(text) == one
    rose = one["words"][2]
    [left] = [
        row["score"]
        for row in classify(text.replace(" rose", ""), top_k=None)
        if row["label"] == one["label"]
    ]
    assert rose["share"] == pytest.approx(one["score"] - left, abs=1e-7)


def test_a_text_of_n_words_is_n_rows_more(classify: Any, rows: list[int]) -> None:
    classify.explain(TEXT)
    assert len(rows) == len(WORDS) + 1
    assert sorted(rows)[-1] == rows[rows.index(max(rows))] and sum(rows) < max(rows) * len(rows)


def test_only_the_windows_of_a_word_are_computed_again(classify: Any, rows: list[int]) -> None:
    long = " ".join([TEXT] * 4)
    found = classify.explain(long, window=12, combine="mean", deduplicate=False)
    windows = classify.document(long, split="windows", window=12)["windows"]
    assert len(found["words"]) == 4 * len(WORDS)
    assert max(rows) <= 12
    whole = classify(long, window=12, combine="mean")[0]
    assert found["score"] == pytest.approx(whole["score"], abs=1e-6)
    assert found["label"] == whole["label"]
    best = LABELS.index(found["label"])
    word = found["words"][11]
    shares = []
    for part in windows:
        if part["start"] < word["end"] and word["start"] < part["end"]:
            text = part["text"]
            at = {"start": word["start"] - part["start"], "end": word["end"] - part["start"]}
            left = probabilities(Tiny(), without(text, at))[best]
            shares.append(part["scores"][found["label"]] - left)
    assert word["share"] == pytest.approx(sum(shares) / len(windows), abs=1e-5)


@pytest.mark.parametrize("how", ["mean", "max", "length"])
def test_a_word_in_two_windows_is_left_out_of_both(classify: Any, how: str) -> None:
    long = " ".join([TEXT] * 3)
    found = classify.explain(long, window=14, stride=5, combine=how)
    whole = classify(long, window=14, stride=5, combine=how)[0]
    assert found["score"] == pytest.approx(whole["score"], abs=1e-6)
    assert [word["word"] for word in found["words"]] == WORDS * 3


def test_a_text_longer_than_the_model_is_read_whole(classify: Any) -> None:
    long = " ".join([TEXT] * 20)
    found = classify.explain(long)
    assert [word["word"] for word in found["words"]] == WORDS * 20
    assert found["score"] == pytest.approx(classify(long, stride=0)[0]["score"], abs=1e-6)


def test_sentences_are_those_of_document_with_words(classify: Any) -> None:
    found = classify.explain(DOCUMENT, split="sentences")
    plain = classify.document(DOCUMENT)
    for part in found["sentences"]:
        words = part.pop("words")
        alone = classify.explain(part["text"])
        assert [DOCUMENT[word["start"] : word["end"]] for word in words] == [
            word["word"] for word in alone["words"]
        ]
        shares = [word["share"] for word in alone["words"]]
        assert [word["share"] for word in words] == pytest.approx(shares, abs=1e-6)
    assert [part["text"] for part in found["sentences"]] == [
        part["text"] for part in plain["sentences"]
    ]
    assert found["sentiment_score"] == pytest.approx(plain["sentiment_score"], abs=1e-6)
    assert found["label"] == plain["label"]


def test_one_or_many_texts(classify: Any) -> None:
    one = classify.explain(TEXT)
    assert classify.explain("")["words"] == []
    many = classify.explain([TEXT, ""])
    assert [word["word"] for word in many[0]["words"]] == [word["word"] for word in one["words"]]

    def drawn() -> Iterator[str]:
        yield TEXT
        raise InputError("drawn too early")

    answers = classify.explain(drawn())
    assert next(answers)["label"] == one["label"]


def test_a_word_that_the_tokenizer_drops_has_no_share(classify: Any) -> None:
    found = classify.explain("profit \x01 rose")
    assert [(word["word"], word["share"] == 0) for word in found["words"]] == [
        ("profit", False), ("\x01", True), ("rose", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "given", "said"),
    [
        (3, {}, "expected a text"),
        (["a", 3], {}, "text 1: expected a string, got int"),
        ("a", {"label": "up"}, "label is 'up'"),
        ("a", {"split": "windows"}, "split is 'windows'"),
        ("a", {"top_k": 2}, "top_k is 2; it has no meaning where a whole text is explained"),
        ("a", {"truncation": True}, "truncation is True; it has no meaning"),
        (
            "a",
            {"split": "sentences", "window": 9},
            "window is 9; it has no meaning where sentences are",
        ),
        ("a", {"split": "sentences", "label": "neutral"}, "its own best label"),
        ("a", {"nonsense": 1}, "unknown argument nonsense"),
    ],
)
def test_what_cannot_be_explained(
    classify: Any, inputs: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        classify.explain(inputs, **given)


def test_defaults_of_the_opening_do_not_disturb(make_bundle: Callable[..., Path]) -> None:
    classify = pipeline("text-classification", make_bundle(), top_k=None, truncation=True)
    assert classify.explain(TEXT)["label"] in LABELS
