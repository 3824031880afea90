"""The rows that the model learns from, and those that are held back."""

from __future__ import annotations

import json
from pathlib import Path

from leanbert_training.data import Example, Sets
from leanbert_training.rows import Row, split_rows, training_rows, transfer_rows
from tests.helpers.training_sets import write_sets, write_twitter


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

    rows = transfer_rows(tmp_path, 20, seed=1)

    assert rows == transfer_rows(tmp_path, 20, seed=1) != transfer_rows(tmp_path, 20, 2)
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


def test_rows_held_back_are_never_trained_on() -> None:
    texts = [f"text {i}" for i in range(300)] + [f"TEXT {i}!" for i in range(300)]
    target = (1.0, 0.0, 0.0)
    every = [Row(text, target, None, "tweet") for text in texts]
    every += [Row(f"own {i}", target, None, "own") for i in range(100)]
    kept, held = split_rows(every, 0.1)

    assert 30 <= len(held) <= 90
    assert len(kept) + len(held) == len(every)
    assert sum(row.kind == "own" for row in kept) == 100
    lowered = {row.text.lower().strip("!") for row in held}
    assert not lowered & {row.text.lower().strip("!") for row in kept}


def test_own_sentences_that_are_evaluated_stay_out() -> None:
    valid = [Example("Profit rose.", (1.0, 0.0, 0.0))]
    sets = Sets([Example("a tweet", (0.0, 0.0, 1.0))], valid, [], [], [])
    found = training_rows(sets, {"a tweet": 0}, [("PROFIT rose", 0), ("Sales fell", 1)])

    assert [(row.text, row.kind) for row in found] == [("a tweet", "tweet"), ("Sales fell", "own")]
    assert found[0].finbert is not None
    assert found[0].finbert[0] > found[0].finbert[2]
    assert (found[0].label, found[1].label) == (2, 1)


def test_the_shares_say_which_files_the_transfer_rows_come_from(tmp_path: Path) -> None:
    write_sets(tmp_path)
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    tweets = "\n".join(f"a post with a word like {chr(97 + i) * 3} in it" for i in range(9))
    (folder / "stocknet_tweets.txt").write_text(tweets, encoding="utf-8")
    assert len(transfer_rows(tmp_path, 8, 0, {"stocknet_tweets": 0.25})) == 2
    assert not transfer_rows(tmp_path, 8, 0, {})
