"""The robustness table's generators, and what the placed bundle's card says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "train"))

import build
import card
import data
import distilling
import robustness
from leanbert.bundle import Bundle
from leanbert.engines import choose_engine
from leanbert_models import default_model

POSITIVE, NEGATIVE, NEUTRAL = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


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


def test_the_placed_bundle_is_small() -> None:
    parts = build.sizes(default_model())

    assert 5_000_000 < parts["bundle"] <= build.MAX_BYTES
    assert parts["bundle"] == sum(size for name, size in parts.items() if name != "bundle")


def test_the_placed_bundle_runs_natively_where_the_cpu_allows() -> None:
    bundle = Bundle.open(default_model())
    assert bundle.manifest is not None
    assert bundle.manifest.card["native engine"].startswith("yes")
    assert bundle.config.id2label == {0: "positive", 1: "negative", 2: "neutral"}
    choose_engine(bundle)


def test_the_placed_card_is_complete() -> None:
    manifest = Bundle.open(default_model()).manifest
    assert manifest is not None
    told = manifest.card
    for name in ("model", "licence", "base", "data", "not trained on", "size", "quality"):
        assert told[name]
    for name in ("int8 - fp32", "temperature", "robustness", "bad at", "larger", "accuracy gate"):
        assert told[name]
    assert told["larger"] == card.LARGER
    assert str(max(lesson.transfer for lesson in distilling.LESSONS)) in told["teachers"]
    assert {row["dataset"] for row in manifest.evidence} == set(card.NAMES)
    for row in manifest.evidence:
        assert f"{row['int8']['accuracy']:.2%}" in told["quality"]
        assert f"ECE {row['int8']['ece']:.3f}" in told["quality"]
        assert row["agreement"] >= 0.99
        worse = row["pytorch"]["accuracy"] - row["int8"]["accuracy"]
        assert abs(worse) <= 0.003
