"""The sentences of our own in tests/data: challenges about finance, and texts on other topics."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from leanbert_training import negations, templates
from leanbert_training.augmenting import NAMES
from leanbert_training.data import normalized
from leanbert_training.robustness import SUBSTITUTES
from tests.helpers.processes import ROOT

FOLDER = ROOT / "tests" / "data"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


CASES = rows("challenge.jsonl")
OTHERS = rows("not_finance.jsonl")
SENTENCES = [wording for case in CASES for wording in case["wordings"]]
EVERY = [*SENTENCES, *(row["text"] for row in OTHERS)]


def test_it_has_900_sentences_in_15_phenomena_at_least() -> None:
    phenomena = Counter(case["phenomenon"] for case in CASES)
    assert len(SENTENCES) >= 900
    assert len(phenomena) >= 15
    assert min(phenomena.values()) >= 12


def test_each_case_has_three_wordings_a_label_and_a_reason() -> None:
    for case in CASES:
        assert set(case) == {"phenomenon", "label", "why", "wordings"}
        assert case["label"] in {"positive", "negative", "neutral"}
        assert len(case["wordings"]) == 3
        assert case["why"].endswith(".")


def test_a_fifth_to_a_quarter_is_neutral_in_every_phenomenon_some() -> None:
    labels = Counter(case["label"] for case in CASES)
    assert 0.2 <= labels["neutral"] / len(CASES) <= 0.25
    assert min(labels["positive"], labels["negative"]) / len(CASES) >= 0.35
    for phenomenon in {case["phenomenon"] for case in CASES}:
        found = {case["label"] for case in CASES if case["phenomenon"] == phenomenon}
        assert found == {"positive", "negative", "neutral"}, phenomenon


def test_the_wordings_of_a_case_share_less_than_two_thirds_of_their_words() -> None:
    def shared(one: str, other: str) -> float:
        a, b = (set(re.findall(r"\w+", text.lower())) for text in (one, other))
        return len(a & b) / len(a | b)

    for case in CASES:
        for one, other in combinations(case["wordings"], 2):
            assert shared(one, other) < 2 / 3, (one, other)


def test_texts_that_are_not_about_finance_have_30_per_topic() -> None:
    assert {frozenset(row) for row in OTHERS} == {frozenset({"topic", "text"})}
    assert set(Counter(row["topic"] for row in OTHERS).values()) == {30}
    assert len(OTHERS) == 240


def test_texts_are_clean() -> None:
    allowed = {"€", "£"}
    for text in EVERY:
        assert text == " ".join(text.split())
        assert all(" " <= letter <= "~" or letter in allowed for letter in text), text


def test_no_sentence_stands_twice() -> None:
    assert len({text.casefold() for text in EVERY}) == len(EVERY)


def test_companies_are_invented() -> None:
    names = "|".join(re.escape(name) for name in (*NAMES, *SUBSTITUTES))
    known = re.compile(rf"\b(?:{names})\b")
    assert [text for text in SENTENCES if known.search(text)] == []


def test_no_sentence_is_a_template_or_a_negation() -> None:
    own = {normalized(text) for text, _ in [*templates.generate(5000), *negations.sentences()]}
    assert [text for text in EVERY if normalized(text) in own] == []


@pytest.mark.slow
def test_no_sentence_comes_from_a_data_set(data_dir: Path) -> None:
    folders = ("phrasebank", "twitter_financial_news", "finbert_reference", "unlabelled")
    files = [path for name in folders for path in (data_dir / name).rglob("*") if path.is_file()]
    known = "\n".join(path.read_text("latin-1") for path in files).casefold()
    assert [text for text in EVERY if text.casefold() in known] == []
