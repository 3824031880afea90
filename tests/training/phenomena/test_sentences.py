"""The patterns of our own, and the sentences that they make."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from leanbert_training.challenge import FOLDER, load_cases
from leanbert_training.phenomena import sentences
from leanbert_training.phenomena.filling import Values, company, registered
from leanbert_training.phenomena.grammar import Filling, Fork, Node, Slot, parse
from leanbert_training.phenomena.sentences import Pattern, generate, patterns, slots, wordings


def slot_names(nodes: tuple[Node, ...]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Slot):
            yield node.name
        elif isinstance(node, Fork):
            for part in node.parts:
                yield from slot_names(part)


def test_every_pattern_is_whole_and_names_known_slots() -> None:
    values = Values(random.Random(0))
    texts = [pattern.text for part in (patterns(), *wordings()) for pattern in part]
    for text in [*texts, *slots().values()]:
        for name in slot_names(parse(text)):
            assert name in slots() or values(name)


def test_there_are_patterns_of_every_phenomenon_and_label() -> None:
    wanted = {(case.phenomenon, case.label) for case in load_cases(FOLDER / "challenge.jsonl")}
    made = {(pattern.phenomenon, label) for pattern in patterns() for label in pattern.labels}
    assert wanted <= made


def test_routine_news_statements_and_other_topics_are_neutral() -> None:
    kinds = ("routine_news", "routine_statements", "other_topics")
    others = [p for p in patterns() if p.phenomenon in kinds]
    assert {p.phenomenon for p in others} == set(kinds)
    assert {pattern.labels for pattern in others} == {(2,)}
    assert len(others) > 160


def filled(pattern: str, seed: int, *, good: bool) -> str:
    rng = random.Random(seed)
    return Filling(slots(), Values(rng), rng).fill(pattern, good=good)


def test_both_sentences_of_a_pair_differ_and_single_ones_have_no_sign() -> None:
    for pattern in patterns():
        good, bad = (filled(pattern.text, 7, good=sign) for sign in (True, False))
        assert (good != bad) == (pattern.labels == (0, 1)), pattern.text


def test_sentences_are_seeded_distinct_and_labelled() -> None:
    made = generate(1, seed=3)
    assert made == generate(1, seed=3) != generate(1, seed=4)
    texts = [text for text, _, _ in made]
    assert len(texts) == len(set(texts)) > len(patterns())
    assert {label for _, label, _ in made} == {0, 1, 2}
    assert not [text for text in texts if set("{}[]<^|") & set(text.replace("->", ""))]


def test_the_voices_say_each_phenomenon_with_each_label() -> None:
    learnt, held = wordings()
    cases = load_cases(FOLDER / "challenge.jsonl")
    assert {one.phenomenon for one in learnt} == {case.phenomenon for case in cases}
    assert {(case.phenomenon, case.label) for case in cases} <= {
        (one.phenomenon, label) for one in learnt for label in one.labels
    }
    texts = [one.text for one in (*learnt, *held)]
    assert len(set(texts)) == len(texts) > 5000
    assert not set("[]<>^|") & set("".join(texts))  # one sentence each, and no choices


def whole_blocks(file: list[Pattern]) -> list[Pattern]:
    """The last of every sixteen blocks of eight."""
    return [one for start in range(120, len(file), 128) for one in file[start : start + 8]]


def test_one_block_of_neighbours_in_sixteen_is_held_back() -> None:
    learnt, held = wordings()
    assert 0.04 < len(held) / len(learnt) < 0.08
    files = [sentences._read(path) for path in sorted(sentences._VOICES.glob("*.txt"))]
    assert [one for file in files for one in whole_blocks(file)] == list(held)
    assert sorted(map(repr, [*learnt, *held])) == sorted(repr(one) for f in files for one in f)


def test_no_wording_is_nearly_a_third_wording() -> None:
    third = [words(case.wordings[2]) for case in load_cases(FOLDER / "challenge.jsonl")]
    for one in (*wordings()[0], *wordings()[1]):
        own = words(one.text)
        assert max(len(own & other) / len(own | other) for other in third) < 0.7, one.text


def words(text: str) -> set[str]:
    without_slots = re.sub(r"\{\w+\}", " ", text.lower())
    return set(re.findall(r"[a-z']+", without_slots)) - {"a", "the", "of", "to", "in", "its", "s"}


def test_amounts_that_are_compared_are_in_order() -> None:
    for seed in range(50):
        values = Values(random.Random(seed))
        for low, high in (("p", "p2"), ("p2", "p3"), ("lon", "hin"), ("loc", "hic"), ("n", "n2")):
            assert number(values(low)) < number(values(high))
        assert number(values("lo")) < number(values("hi"))
        assert number(values("epslo")) < number(values("eps")) < number(values("epshi"))
        assert number(values("k")) < number(values("k2"))


def number(text: str) -> float:
    return float("".join(character for character in text if character in "0123456789."))


def test_a_register_changes_how_a_text_looks_and_not_its_words() -> None:
    for seed in range(100):
        text = registered("profit at Acme , up  again", random.Random(seed))
        assert "profit at acme, up again" in text.lower()


def test_made_up_banks_have_no_real_names() -> None:
    assert "Apple" in {company(random.Random(seed)) for seed in range(3000)}
    assert "Apple" not in {company(random.Random(seed), bank=True) for seed in range(3000)}
