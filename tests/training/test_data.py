"""The readers and the cleaning of the public sets, on files of a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert_training import data
from tests.helpers.training_sets import (
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    example,
    write_finbert,
    write_phrasebank,
    write_sets,
    write_twitter,
)


def test_twitter_labels_become_ours(tmp_path: Path) -> None:
    path = tmp_path / "sent.csv"
    write_twitter(path, [("$AB falls, hard", 0), ("$AB climbs", 1), ("$AB meets 🙂", 2)])

    read = data.load_twitter(path)

    assert [e.text for e in read] == ["$AB falls, hard", "$AB climbs", "$AB meets 🙂"]
    assert [e.target for e in read] == [NEGATIVE, POSITIVE, NEUTRAL]
    assert [data.LABELS[e.label] for e in read] == ["negative", "positive", "neutral"]


def test_twitter_with_a_line_break_in_a_text(tmp_path: Path) -> None:
    path = tmp_path / "sent.csv"
    write_twitter(path, [("first line\nsecond line", 1)])

    assert [e.text for e in data.load_twitter(path)] == ["first line\nsecond line"]


def test_twitter_rejects_an_unknown_label(tmp_path: Path) -> None:
    path = tmp_path / "sent.csv"
    write_twitter(path, [("text", 3)])

    with pytest.raises(KeyError):
        data.load_twitter(path)


def test_phrasebank_is_latin_1_with_the_label_after_the_last_at(tmp_path: Path) -> None:
    path = tmp_path / "Sentences_AllAgree.txt"
    write_phrasebank(
        path,
        [
            ("Myynti Hämeessä nousi .", "positive"),
            ("Write to ir@example.com .", "neutral"),
            ("Le bénéfice a chuté .", "negative"),
        ],
    )

    assert data.load_phrasebank(path) == [
        example("Myynti Hämeessä nousi .", POSITIVE),
        example("Write to ir@example.com .", NEUTRAL),
        example("Le bénéfice a chuté .", NEGATIVE),
    ]


def test_phrasebank_rejects_an_unknown_label(tmp_path: Path) -> None:
    path = tmp_path / "Sentences_AllAgree.txt"
    write_phrasebank(path, [("text", "mixed")])

    with pytest.raises(ValueError, match="tuple"):
        data.load_phrasebank(path)


def test_finbert_probabilities_keep_their_order_and_sum_to_one(tmp_path: Path) -> None:
    path = tmp_path / "finbert_probs.jsonl"
    write_finbert(path, [("up", 0.8, 0.1, 0.1), ("down", 0.1, 0.6, 0.1)])

    up, down = data.load_finbert(path)

    assert up.target == pytest.approx((0.8, 0.1, 0.1))
    assert down.target == pytest.approx((0.125, 0.75, 0.125))
    assert (up.label, down.label) == (0, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Profit rose 5%", "PROFIT rose 5 %!"),
        ("Profit rose https://t.example/abc", "profit rose"),
        ("Über  alles", "über alles."),
    ],
)
def test_reposts_have_one_key(one: str, other: str) -> None:
    assert data.normalized(one) == data.normalized(other)


def test_different_texts_have_different_keys() -> None:
    assert data.normalized("profit rose 5%") != data.normalized("profit rose 6%")


def test_hold_out_takes_the_same_rows_whatever_the_order() -> None:
    examples = [example(f"text number {i}") for i in range(50)]
    shuffled = examples[1::2] + examples[::2]

    rest, held = data.hold_out(examples, 10)
    rest_of_shuffled, held_of_shuffled = data.hold_out(shuffled, 10)

    assert held == held_of_shuffled
    assert len(held) == 10
    assert set(rest) == set(rest_of_shuffled) == set(examples) - set(held)
    assert rest == [e for e in examples if e not in held]


def test_hold_out_is_the_same_on_every_machine() -> None:
    _, held = data.hold_out([example(text) for text in ("alpha", "beta", "gamma", "delta")], 2)

    assert [e.text for e in held] == ["delta", "alpha"]


def test_more_rows_extend_what_is_held_out() -> None:
    examples = [example(f"text number {i}") for i in range(20)]

    assert data.hold_out(examples, 8)[1][:5] == data.hold_out(examples, 5)[1]


def test_hold_out_takes_reposts_out_of_the_rest() -> None:
    examples = [example(f"text number {i}") for i in range(20)]
    reposts = [example(f"TEXT number {i}! https://t.example/{i}") for i in range(20)]

    rest, held = data.hold_out(examples + reposts, 6)

    keys = {data.normalized(e.text) for e in held}
    assert not keys & {data.normalized(e.text) for e in rest}
    assert len(rest) == 40 - 2 * len(keys)


def test_without_drops_reposts_and_keeps_the_order() -> None:
    examples = [example("b up"), example("A down"), example("c flat"), example("a  DOWN!")]

    kept = data.without(examples, [example("a down https://t.example/x", POSITIVE)])

    assert [e.text for e in kept] == ["b up", "c flat"]


def test_without_nothing_is_everything() -> None:
    examples = [example("one"), example("one"), example("two")]

    assert data.without(examples, []) == examples
    assert data.without([], examples) == []


def test_no_evaluation_text_is_trained_on(tmp_path: Path) -> None:
    write_sets(tmp_path)

    sets = data.load_sets(tmp_path, held_out_rows=2)

    trained = {data.normalized(e.text) for e in sets.train}
    for examples in sets.evaluation().values():
        assert not trained & {data.normalized(e.text) for e in examples}
    assert "only in train" in trained
    assert "in valid too" not in trained
    assert len(sets.finbert_held_out) == 2
    assert list(sets.evaluation()) == [
        "twitter_valid",
        "phrasebank_all_agree",
        "phrasebank_50_agree",
        "finbert_held_out",
    ]


def test_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sent_valid\.csv"):
        data.load_sets(tmp_path)
