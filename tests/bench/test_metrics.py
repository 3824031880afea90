"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from leanbert_bench import metrics

SCORES = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])


def test_accuracy_and_macro_f1() -> None:
    truth = np.array([0, 1, 1, 2])  # the second is wrong
    assert metrics.accuracy(SCORES, truth) == 0.75
    # label 0: answered twice, once rightly, true once: 2*1/(2+1); 1: 2*1/(1+2); 2: 1
    assert metrics.macro_f1(SCORES, truth) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_macro_f1_counts_a_label_that_was_never_answered() -> None:
    assert metrics.macro_f1(SCORES[:2], np.array([0, 2])) == pytest.approx((2 / 3 + 0) / 2)


def test_calibration_error() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    truth = np.array([0, 1, 0, 0])
    # 0.9 is right half the time, 0.6 always: (|0.5 - 0.9| + |1 - 0.6|) / 2
    assert metrics.calibration_error(scores, truth) == pytest.approx(0.4)
    assert metrics.calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0


def test_bins_are_open_on_the_left() -> None:
    # 10/15 belongs to the bin below, a little more to the next: each is a bin of its own.
    scores = np.array([[10 / 15, 5 / 15], [0.68, 0.32]])
    gap = (abs(1 - 10 / 15) + abs(0 - 0.68)) / 2
    assert metrics.calibration_error(scores, np.array([0, 1])) == pytest.approx(gap)


def test_a_label_is_held_above_the_margin_only() -> None:
    scores = np.array([[0.5, 0.45, 0.05], [0.1, 0.7, 0.2], [0.3, 0.31, 0.39]])
    assert metrics.held(scores).tolist() == [False, True, False]


def test_cosines() -> None:
    ours, theirs = np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [6.0, 8.0]])
    assert metrics.cosines(ours, theirs) == pytest.approx([0.5**0.5, 1.0])


def test_nearness_and_flips() -> None:
    other = SCORES.copy()
    other[1] = [0.3, 0.6, 0.1]
    other[2] = [0.2, 0.4, 0.4]
    near = metrics.nearness(other, SCORES)
    assert near["mean_difference"] == pytest.approx((0.3 * 2 + 0.1 * 2) / 12)
    assert near["max_difference"] == pytest.approx(0.3)
    count, listed = metrics.flips(other, SCORES, ["a", "b", "c", "d"], ["x", "y", "z"])
    assert count == 1  # the tie of the third keeps the first of the two
    assert listed == [
        {"text": "b", "reference": "x", "answer": "y", "difference": pytest.approx(0.3)}
    ]
    assert metrics.flips(SCORES, SCORES, list("abcd"), list("xyz")) == (0, [])


def test_at_most_fifty_flips_are_listed_the_worst_first() -> None:
    reference = np.tile([0.6, 0.4], (60, 1))
    other = np.stack([np.linspace(0.0, 0.4, 60), np.linspace(1.0, 0.6, 60)], axis=1)
    count, listed = metrics.flips(other, reference, [str(i) for i in range(60)], ["x", "y"])
    assert (count, len(listed)) == (60, 50)
    assert [flip["text"] for flip in listed[:2]] == ["0", "1"]


def test_batch_changes() -> None:
    alone = np.zeros((2, 3))
    ordered, shuffled = alone.copy(), alone.copy()
    ordered[0, 1], shuffled[1, 2] = 0.25, -0.5
    assert metrics.batch_changes(alone, ordered, shuffled) == {
        "sorted": 0.25,
        "shuffled": 0.5,
        "largest": 0.5,
    }


def test_spearman() -> None:
    assert metrics.spearman([1, 2, 3, 4], [10, 20, 30, 99]) == pytest.approx(1)
    assert metrics.spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Without ties: 1 - 6 * sum(d**2) / (n * (n**2 - 1)), d = 0, 1, 1, 0
    assert metrics.spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / 60)
    # Ties share the mean of their ranks: 1.5, 1.5, 3 against 1, 2, 3
    assert metrics.spearman([5, 5, 7], [1, 2, 3]) == pytest.approx(1.5 / (1.5 * 2) ** 0.5)
    assert metrics.spearman([1, 1, 1], [1, 2, 3]) == 0


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", {("PER", 0, 1), ("LOC", 3, 3)}),
        ("I-PER I-PER", {("PER", 0, 1)}),  # no beginning: one all the same
        ("B-PER B-PER", {("PER", 0, 0), ("PER", 1, 1)}),
        ("B-PER I-LOC", {("PER", 0, 0), ("LOC", 1, 1)}),  # the kind changes
        ("B-PER E-PER I-PER", {("PER", 0, 1), ("PER", 2, 2)}),
        ("S-PER I-PER", {("PER", 0, 0), ("PER", 1, 1)}),
        ("O I-PER O", {("PER", 1, 1)}),
        ("B I", {("_", 0, 1)}),  # no kinds at all
        ("O O", set()),
        ("", set()),
    ],
)
def test_entities_as_seqeval_reads_them(tags: str, expected: set[tuple[str, int, int]]) -> None:
    assert metrics.entities(tags.split()) == expected


def test_entity_f1_wants_whole_entities() -> None:
    truth = [["B-PER", "I-PER", "O"], ["B-LOC", "O"]]
    found = [["B-PER", "O", "O"], ["B-LOC", "B-LOC"]]
    # One of three found is one of the two true ones.
    assert metrics.entity_f1(found, truth) == pytest.approx(2 * 1 / (3 + 2))
    assert metrics.entity_f1([["O"]], [["O"]]) == 0.0


def test_answers_as_squad_compares_them() -> None:
    assert metrics.normalize_answer("The  Bank, of an England!") == "bank of england"
    assert metrics.exact_match("the bank", ["Bank.", "x"]) == 1
    assert metrics.exact_match("banks", ["bank"]) == 0
    # "bank of england" and "england": 1 word shared: P 1/3, R 1
    assert metrics.token_f1("Bank of England", ["England"]) == pytest.approx(0.5)
    assert metrics.token_f1("Bank of England", ["x", "the Bank of England"]) == 1
    assert metrics.token_f1("a a b", ["b b"]) == pytest.approx(2 / 3)  # the articles are gone
    assert metrics.token_f1("", [""]) == 1
    assert metrics.token_f1("x", [""]) == 0
