"""Documents are scored by windows or sentences, which know where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.errors import InputError
from tests.helpers.tiny_bundles import LABELS, MAX_LENGTH, Tiny, probabilities, reference
from tests.helpers.tiny_words import tokenizer

SENTENCES = ["Profit rose to a record.", "The debt is bad!", "It said so today."]
DOCUMENT = "  Profit rose to a record. The debt is bad!\n\nIt said so today.\n"
# Whole words of the vocabulary only, so that a window's text has the window's tokens.
LONG = (
    "  Profit rose in the quarter,  and sales fell; debt was bad! \r\nThe board said: growth. Up"
    * 3
)


def windows(text: str, length: int, stride: int) -> list[tuple[int, int]]:
    """Where the windows must be: ``length - 2`` tokens each, ``stride`` of them shared."""
    offsets = tokenizer().encode(text, add_special_tokens=False).offsets
    size, found, start = length - 2, [], 0
    while True:
        part = offsets[start : start + size]
        found.append((part[0][0], part[-1][1]))
        if start + size >= len(offsets):
            return found
        start += size - stride


def check_part(part: dict[str, Any], text: str) -> None:
    wanted = probabilities(Tiny(), text)
    assert list(part["scores"]) == list(LABELS)
    assert list(part["scores"].values()) == pytest.approx(wanted, abs=1e-5)
    assert part["score"] == pytest.approx(max(wanted), abs=1e-5)
    assert part["label"] == LABELS[int(np.argmax(wanted))]
    assert part["sentiment_score"] == pytest.approx(wanted[0] - wanted[1], abs=1e-5)


def test_sentences(classify: Any) -> None:
    found = classify.document(DOCUMENT)
    assert [part["text"] for part in found["sentences"]] == SENTENCES
    for part in found["sentences"]:
        assert DOCUMENT[part["start"] : part["end"]] == part["text"]
        check_part(part, part["text"])
    rows = np.array([probabilities(Tiny(), text) for text in SENTENCES])
    assert list(found["scores"].values()) == pytest.approx(rows.mean(axis=0), abs=1e-5)
    assert found["label"] == LABELS[int(rows.mean(axis=0).argmax())]
    mean = float((rows[:, 0] - rows[:, 1]).mean())
    assert found["sentiment_score"] == pytest.approx(mean, abs=1e-5)


def test_one_or_many_documents(classify: Any) -> None:
    one = classify.document(DOCUMENT)
    other = classify.document("")
    assert other["sentences"][0]["text"] == ""
    assert (other["sentences"][0]["start"], other["sentences"][0]["end"]) == (0, 0)
    assert classify.document([DOCUMENT, "", DOCUMENT]) == [one, other, one]

    def drawn() -> Iterator[str]:
        yield DOCUMENT
        raise AssertionError("drawn too early")

    answers = classify.document(iter([DOCUMENT, ""]))
    assert isinstance(answers, Iterator)
    assert list(answers) == [one, other]


@pytest.mark.parametrize(("window", "stride"), [(12, 0), (12, 5), (20, 3), (None, 4), (500, 0)])
def test_windows_stand_where_they_say(classify: Any, window: int | None, stride: int) -> None:
    found = classify.document(LONG, split="windows", window=window, stride=stride)
    parts = found["windows"]
    length = min(window or MAX_LENGTH, MAX_LENGTH)
    assert [(part["start"], part["end"]) for part in parts] == windows(LONG, length, stride)
    assert len(parts) > 2
    for part in parts:
        assert part["text"] == LONG[part["start"] : part["end"]]
        check_part(part, part["text"])


@pytest.mark.parametrize("combine", ["mean", "max", "length", None])
@pytest.mark.parametrize("function", ["softmax", "sigmoid"])
def test_how_scores_combine(classify: Any, combine: str | None, function: str) -> None:
    spans = windows(LONG, 20, 4)
    texts = [LONG[start:end] for start, end in spans]
    logits = np.array([reference(Tiny(), text) for text in texts])
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if function == "sigmoid":
        rows = 1 / (1 + np.exp(-logits))
    tokens = [len(tokenizer().encode(text, add_special_tokens=False).ids) for text in texts]
    assert len(set(tokens)) == 2  # the last is shorter
    weights = tokens if combine == "length" else None
    wanted = rows.max(axis=0) if combine == "max" else np.average(rows, axis=0, weights=weights)
    options: dict[str, Any] = {"combine": combine} if combine else {}
    options |= {"window": 20, "stride": 4, "function_to_apply": function}
    document = classify.document(LONG, split="windows", **options)
    assert list(document["scores"].values()) == pytest.approx(wanted, abs=1e-5)
    # A call answers as transformers does, by windows too.
    ranked = sorted(zip(map(float, wanted), LABELS, strict=True), reverse=True)
    answer = [{"label": a, "score": pytest.approx(s, abs=1e-5)} for s, a in ranked]
    assert classify(LONG, top_k=None, **options) == answer
    assert classify(LONG, **options) == answer[:1]
    assert classify([LONG, "growth"], **options)[0] == answer[0]


def test_short_texts_need_no_window(classify: Any) -> None:
    texts = ["profit rose", "", "a bad loss"]
    assert classify(texts, window=16, top_k=None) == classify(texts, top_k=None)


@pytest.mark.filterwarnings("ignore:.*cut to 32 tokens")
def test_a_sentence_longer_than_the_model_is_cut(classify: Any) -> None:
    long = "Profit " + "rose " * 60 + "."
    [part] = classify.document(long)["sentences"]
    assert part["text"] == long
    check_part(part, long)
    with pytest.raises(InputError, match="longer than 32 tokens"):
        classify.document(long, truncation=False)


@pytest.mark.parametrize("labels", [("Neutral", "POSITIVE", "Negative"), ("negative", "positive")])
def test_sentiment_goes_by_the_labels_names(
    make_bundle: Callable[..., Path], labels: tuple[str, ...]
) -> None:
    classify = pipeline(model=make_bundle(labels=labels), threads=1)
    found = classify.document(DOCUMENT)
    names = [label.lower() for label in labels]
    assert list(found["scores"]) == list(labels)
    rows = [probabilities(Tiny(labels=labels), text) for text in SENTENCES]
    up, down = names.index("positive"), names.index("negative")
    wanted = [row[up] - row[down] for row in rows]
    scores = [part["sentiment_score"] for part in found["sentences"]]
    assert scores == pytest.approx(wanted, abs=1e-5)
    assert found["sentiment_score"] == pytest.approx(sum(wanted) / 3, abs=1e-5)


def test_other_labels_have_no_sentiment(make_bundle: Callable[..., Path]) -> None:
    classify = pipeline(model=make_bundle(labels=("bull", "bear")), threads=1)
    found = classify.document(DOCUMENT)
    assert found["sentiment_score"] is None
    assert {part["sentiment_score"] for part in found["sentences"]} == {None}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "words"}, "split is 'words'"),
        ({"combine": "sum"}, "combine is 'sum'"),
        (
            {"window": 12},
            'window is 12; sentences have no windows: leave it out, or pass split="windows"',
        ),
        ({"split": "windows", "window": 0}, "window is 0"),
        ({"split": "windows", "stride": -1}, "stride is -1"),
        ({"split": "windows", "stride": 40}, "stride is 40"),
        ({"split": "windows", "window": 2}, "window is 2; 2 special tokens leave no room"),
    ],
)
def test_arguments_that_make_no_sense(classify: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        classify.document(DOCUMENT, **options)


def test_inputs_that_are_no_documents(classify: Any) -> None:
    with pytest.raises(InputError, match="text 1: expected a string, got int"):
        classify.document([DOCUMENT, 3])
    with pytest.raises(InputError, match="expected a text"):
        classify.document(3)
    with pytest.raises(InputError, match="windows of pairs"):
        classify({"text": "a", "text_pair": "b"}, window=12)
