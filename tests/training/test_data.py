"""The readers and the cleaning of the training recipe, on files of a few lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "train"))

import data

POSITIVE, NEGATIVE, NEUTRAL = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def example(text: str, target: tuple[float, float, float] = NEUTRAL) -> data.Example:
    return data.Example(text, target)


def write_twitter(path: Path, rows: list[tuple[str, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'"{text}",{label}' for text, label in rows]
    path.write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")


def write_phrasebank(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{text}@{label}\r\n" for text, label in rows).encode("latin-1"))


def write_finbert(path: Path, rows: list[tuple[str, float, float, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("text", "p_positive", "p_negative", "p_neutral")
    lines = [json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


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


def write_sets(tmp_path: Path) -> None:
    twitter, phrasebank = tmp_path / "twitter_financial_news", tmp_path / "phrasebank"
    write_twitter(
        twitter / "sent_train.csv",
        [("only in train", 1), ("In VALID too!", 0), ("in phrasebank too", 2)],
    )
    write_twitter(twitter / "sent_valid.csv", [("in valid too", 0)])
    write_phrasebank(phrasebank / "Sentences_AllAgree.txt", [("sure", "neutral")])
    write_phrasebank(
        phrasebank / "Sentences_50Agree.txt",
        [("sure", "neutral"), ("In phrasebank too .", "neutral")],
    )
    write_finbert(
        tmp_path / "finbert_reference" / "finbert_probs.jsonl",
        [(f"soft {i}", 0.2, 0.3, 0.5) for i in range(5)] + [("Sure!", 0.2, 0.3, 0.5)],
    )


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


def test_transfer_rows_are_seeded_distinct_and_in_no_evaluation_set(tmp_path: Path) -> None:
    write_sets(tmp_path)
    valid = "one two three four five six of the validation set"
    write_twitter(tmp_path / "twitter_financial_news" / "sent_valid.csv", [(valid, 0)])
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    tweets = [
        f"$AB{'C' * (i % 3)} volume is {i} million shares today http://t.co/{i}" for i in range(9)
    ]
    tweets += [f"RT @me: {valid.upper()}!", "too short"]
    tweets += [f"a word of its own for this tweet: {'x' * i}" for i in range(1, 20)]
    (folder / "stocknet_tweets.txt").write_text("\n".join(tweets), encoding="utf-8")
    speech = "Growth was strong in every district. Yes. Prices rose less than we had expected it."
    (folder / "fed_speeches.jsonl").write_text(json.dumps({"text": speech}), encoding="utf-8")

    rows = data.transfer_rows(tmp_path, 20, seed=1)

    assert rows == data.transfer_rows(tmp_path, 20, seed=1) != data.transfer_rows(tmp_path, 20, 2)
    found = [row.text for row in rows]
    assert sum("volume" in text for text in found) <= 1
    assert not any(valid in text.lower() for text in found)
    assert "too short" not in found
    spoken = [row.text for row in rows if row.kind == "sentence"]
    assert {row.kind for row in rows} == {"post", "sentence"}
    assert sorted(spoken) == [
        "Growth was strong in every district.",
        "Prices rose less than we had expected it.",
    ]


def test_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sent_valid\.csv"):
        data.load_sets(tmp_path)
