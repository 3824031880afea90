"""What the refining learns from, and what it must never see."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leanbert_training import challenge, refining_rows
from leanbert_training.data import normalized
from leanbert_training.negations import sentences
from leanbert_training.rows import Row
from tests.helpers.training_sets import write_sets

MIX = refining_rows.Mix(
    tweets=2,
    finbert_copies=2,
    own=1,
    unlabelled=1,
    rounds=1,
    neutral_rounds=1,
    wordings=1,
    copies=2,
)
POSITIVE = (1.0, 0.0, 0.0)


def old_rows() -> list[Row]:
    kinds = ("tweet", "tweet", "tweet", "finbert", "finbert", "own", "own", "post", "sentence")
    return [Row(f"{kind} {i}", POSITIVE, POSITIVE, kind) for i, kind in enumerate(kinds)]


def test_of_each_phenomenon_three_cases_are_held_back() -> None:
    cases = challenge.load_cases()
    learnt, held = refining_rows.split_cases(cases)
    phenomena = {case.phenomenon for case in cases}
    assert Counter(case.phenomenon for case in held) == dict.fromkeys(phenomena, 3)
    assert sorted(map(repr, [*learnt, *held])) == sorted(map(repr, cases))
    texts = {row.text for row in refining_rows.held_cases()}
    assert texts == {case.wordings[i] for case in held for i in range(2)}


def test_the_third_wordings_and_the_evaluation_sets_are_in_no_row(tmp_path: Path) -> None:
    write_sets(tmp_path)
    answers = np.full((10, 3), 1 / 3, dtype=np.float32)
    extra = [Row("In VALID too", POSITIVE, None, "tweet"), Row("sure", POSITIVE, None, "tweet")]
    case = challenge.load_cases()[0]
    extra.append(Row(case.wordings[2].upper() + " !", POSITIVE, None, "finbert"))
    other = challenge.load_others()[0].text
    extra.append(Row(other.upper(), POSITIVE, None, "tweet"))
    rows = [*old_rows()[:6], *extra]

    found = refining_rows.refining_rows(
        tmp_path, rows, answers, refining_rows.Mix(tweets=9, rounds=2, copies=2), seed=0
    )

    texts = {normalized(row.text) for row in found}
    assert normalized("tweet 0") in texts
    assert not texts & {normalized(case.wordings[2]) for case in challenge.load_cases()}
    assert not texts & {normalized(text) for text, _ in sentences()}
    assert not texts & {"in valid too", "sure"}
    _, held = refining_rows.split_cases(challenge.load_cases())
    assert not texts & {normalized(text) for text, _ in challenge.open_wordings(held)}
    others = {normalized(other.text) for other in challenge.load_others()}
    assert not texts & others
    assert not texts & {normalized(row.text) for row in refining_rows.held_wordings()}
    assert {refining_rows.CASE, refining_rows.PATTERN, refining_rows.WORDING} < {
        row.kind for row in found
    }


def test_no_pattern_makes_a_third_wording_under_another_name() -> None:
    """Company names are the only parts that the patterns and the set could choose differently."""

    def bare(text: str) -> str:
        return normalized(refining_rows.other_companies(text, random.Random(0)))

    third = {bare(case.wordings[2]) for case in challenge.load_cases()}
    own = refining_rows.own_rows(MIX, seed=5)
    assert not third & {normalized(row.text) for row in own}


def test_rows_that_were_learnt_before_keep_a_part_of_their_labels() -> None:
    answers = np.tile(np.array([0.0, 0.5, 0.5], dtype=np.float32), (9, 1))
    mix = replace(MIX, anchor=0.5, finbert_anchor=0.25)
    found = refining_rows.anchor_rows(old_rows(), answers, mix, seed=0)
    kinds = Counter(row.kind for row in found)
    last = found[-1].kind
    assert kinds == {"tweet": 2, "finbert": 4, "own": 1, last: 1}
    assert last in ("post", "sentence")
    targets = {row.kind: row.target for row in found}
    assert targets["tweet"] == targets["own"] == (0.5, 0.25, 0.25)
    assert targets["finbert"] == (0.75, 0.125, 0.125)
    assert targets[last] == (0.0, 0.5, 0.5)
    assert all(row.finbert == POSITIVE for row in found)
    twice = refining_rows.anchor_rows(old_rows(), answers, replace(mix, tweet_copies=2), seed=0)
    assert Counter(row.kind for row in twice) == {**kinds, "tweet": 4}


def test_there_are_as_many_neutral_sentences_of_our_own_as_others() -> None:
    labels = Counter(row.label for row in refining_rows.own_rows(refining_rows.Mix(), seed=0))
    assert 0.8 < labels[refining_rows.NEUTRAL] / (labels[0] + labels[1]) < 1.25


def test_copies_of_a_wording_differ_in_companies_alone() -> None:
    text = "Norvik Steel cuts its net loss, unlike Norvik Steel's rival Merrowby Bank"
    found = refining_rows.other_companies(text, random.Random(1))
    assert "Norvik" not in found
    assert "Merrowby" not in found
    name = found.partition(" cuts its net loss, unlike ")[0]
    assert found.count(name) == 2
    assert refining_rows.other_companies("Gold fell", random.Random(1)) == "Gold fell"


@pytest.mark.parametrize("seed", [0, 1])
def test_own_rows_are_seeded(seed: int) -> None:
    assert refining_rows.own_rows(MIX, seed) == refining_rows.own_rows(MIX, seed)
    assert refining_rows.own_rows(MIX, seed) != refining_rows.own_rows(MIX, seed + 2)


def test_plain_news_is_learnt_where_it_is_asked_for() -> None:
    kinds = Counter(row.kind for row in refining_rows.own_rows(MIX, seed=0))
    assert not kinds[refining_rows.PLAIN]
    plain = [
        row
        for row in refining_rows.own_rows(replace(MIX, plain_rounds=3), seed=0)
        if row.kind == refining_rows.PLAIN
    ]
    labels = Counter(row.label for row in plain)
    assert len(plain) > 60
    assert labels[0] == pytest.approx(labels[1], rel=0.1)
    assert set(labels) == {0, 1}
