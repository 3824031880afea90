"""The kinds of text that the robustness table measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from leanbert_training import data, robustness
from tests.helpers.training_sets import NEGATIVE, NEUTRAL, POSITIVE


@pytest.fixture
def sets() -> data.Sets:
    tweets = [
        data.Example("$AAPL rises", POSITIVE),
        data.Example("Tesla cuts 400 jobs, says " + "very " * 40 + "little", NEGATIVE),
        data.Example("Nothing here https://t.example/abc", NEUTRAL),
    ]
    bank = [
        data.Example("Operating profit at Nokia rose to EUR 13.1 mn from EUR 8.7 mn .", POSITIVE),
        data.Example("Sales of Fiskars fell 4 % in the second quarter of the year .", NEGATIVE),
    ]
    return data.Sets([], tweets, bank[:1], bank, [])


def test_each_kind_holds_its_texts(sets: data.Sets) -> None:
    found = {kind.split(" ")[0]: examples for kind, examples in robustness.kinds(sets).items()}

    assert [e.text for e in found["short"]] == [
        "$AAPL rises",
        "Nothing here https://t.example/abc",
    ]
    assert [e.text[:5] for e in found["long"]] == ["Tesla"]
    assert all(e.text == e.text.upper() for e in found["upper-case"])
    assert len(found["upper-case"]) == 4
    assert [e.text for e in found["with"]] == ["$AAPL rises"]
    assert [e.text[:9] for e in found["numbers"]] == ["Operating"]
    assert len(found["negations"]) == 60


def test_pairs_differ_in_names_alone(sets: data.Sets) -> None:
    pairs = robustness.name_pairs([*sets.twitter_valid, *sets.phrasebank_50_agree])

    assert len(pairs) == 4
    assert pairs == robustness.name_pairs([*sets.phrasebank_50_agree, *sets.twitter_valid])
    for one, other in pairs:
        assert one != other
        changed = [w for w in other.split() if w not in one.split()]
        assert changed
        assert not any(name in other.split() for name in ("Nokia", "Fiskars", "Tesla", "$AAPL"))
    assert (
        robustness.name_pairs(sets.twitter_valid, 1)
        == [pair for pair in robustness.name_pairs(sets.twitter_valid) if pair in pairs][:1]
    )
    assert not set(robustness.SUBSTITUTES) & set(robustness.NAMES)


def test_the_table_counts_what_the_model_says(sets: data.Sets) -> None:
    def always_negative(texts: Sequence[str]) -> np.ndarray:
        return np.tile([0.1, 0.8, 0.1], (len(texts), 1))

    rows = {row["kind"].split(" ")[0]: row for row in robustness.measure(sets, always_negative)}

    assert rows["negations"]["share"] == pytest.approx(1 / 3)
    assert rows["long"]["share"] == 1.0
    assert rows["with"]["share"] == 0.0
    assert (rows["company"]["share"], rows["company"]["measure"]) == (1.0, "same label")
    assert "| 33.3% |" in robustness.markdown(list(rows.values()))
