"""The grammar in which the patterns of sentences are written."""

from __future__ import annotations

import random

import pytest

from leanbert_training.phenomena.grammar import Filling, Fork, Slot, parse


def filled(pattern: str, good: bool, seed: int = 0, **slots: str) -> str:
    return Filling(slots, {"c": "Acme"}.__getitem__, random.Random(seed)).fill(pattern, good=good)


def test_a_pattern_is_text_slots_and_forks() -> None:
    nodes = parse("{c} <rises^falls>[ fast|]")
    assert nodes == (
        Slot("c"),
        " ",
        Fork((("rises",), ("falls",)), by_sign=True),
        Fork(((" fast",), ()), by_sign=False),
    )


def test_the_sign_turns_the_forks_of_the_sign_and_nothing_else() -> None:
    pattern = "{c} <[cuts|trims]^[adds to|doubles]> its [loss|deficit] <to [4|5]^by [6|7]>"
    for seed in range(20):
        good, bad = (filled(pattern, sign, seed).split() for sign in (True, False))
        assert good[0] == bad[0] == "Acme"
        assert good[1] in {"cuts", "trims"}
        assert bad[1] in {"adds", "doubles"}
        assert {"loss", "deficit"} & set(good) == {"loss", "deficit"} & set(bad)
        assert good[-2:] in (["to", "4"], ["to", "5"])
        assert bad[-2:] in (["by", "6"], ["by", "7"])


def test_a_slot_is_the_same_throughout_one_sentence() -> None:
    for seed in range(20):
        first, second = filled("{x} {x}", True, seed, x="[a|b|c|d]").split()
        assert first == second
    assert {filled("{x}", True, seed, x="[a|b]") for seed in range(20)} == {"a", "b"}


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[a|b", "'\\[' is not closed"),
        ("<a^b", "'<' is not closed"),
        ("<a>", "expected two parts in <...\\^...>, got 1"),
        ("<a^b^c>", "expected two parts in <...\\^...>, got 3"),
        ("{c", "is not closed"),
        ("a] b", "unexpected '\\]' at 1"),
        ("a | b", "unexpected '\\|' at 2"),
        ("[a^b]", "unexpected '\\^' at 2"),
    ],
)
def test_a_pattern_that_is_wrong_says_where(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(pattern)
