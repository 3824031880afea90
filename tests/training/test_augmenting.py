"""Links, tickers and names of training texts."""

from __future__ import annotations

import random

from leanbert_training import augmenting


def test_links_leave_and_tickers_change_together() -> None:
    text = "$AAPL up: why $AAPL beats $MSFT https://t.example/abc"

    assert augmenting.without_links(text) == "$AAPL up: why $AAPL beats $MSFT"
    assert augmenting.without_links("https://t.example/abc") == "https://t.example/abc"
    assert augmenting.cashtags([text, "no $tag, $100"]) == ["$AAPL", "$MSFT"]
    swapped = augmenting.swap_tickers(text, ["$AB", "$CD", "$EF"], random.Random(3))
    first, second, third = (word for word in swapped.split() if word.startswith("$"))
    assert first == second
    assert {first, third} <= {"$AB", "$CD", "$EF"}


def test_names_change_whole() -> None:
    text = "Apple sues Coca-Cola; Applebee's is not Apple"
    swapped = augmenting.swap_names(text, random.Random(0))

    assert "Applebee's" in swapped
    assert "Coca-Cola" not in swapped
    first, last = swapped.split(" sues ")[0], swapped.split(" is not ")[1]
    assert first == last


def test_augmentation_is_the_generators_alone() -> None:
    text = "$AAPL: Apple beats https://t.example/abc"
    one = [augmenting.augment(text, ["$AB"], random.Random(5), links=True) for _ in range(2)]

    assert one[0] == one[1]
    kept = augmenting.augment(text, ["$AB"], random.Random(5), links=True, swaps=0.0)
    assert kept == text
    assert (
        len(
            {
                augmenting.augment(text, ["$AB"], random.Random(i), links=i % 2 == 0)
                for i in range(30)
            }
        )
        > 3
    )
