"""The measurements of a model on a set, and the command that takes them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from leanbert_training import evaluate
from leanbert_training.data import Example
from tests.helpers.training_sets import NEGATIVE, NEUTRAL, POSITIVE


def test_a_set_is_measured_against_its_labels_and_against_pytorch() -> None:
    reference = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]])
    int8 = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.4, 0.3, 0.3], [0.6, 0.2, 0.2]])
    row = evaluate.set_row(
        "twitter_valid", np.array([0, 1, 2, 1]), {"pytorch": reference, "int8": int8}
    )

    assert (row["dataset"], row["rows"]) == ("twitter_valid", 4)
    assert (row["pytorch"]["accuracy"], row["int8"]["accuracy"]) == (0.75, 0.5)
    assert row["pytorch"]["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert row["agreement"] == row["int8"]["agreement"] == 0.75
    assert row["max_difference"] == pytest.approx(0.1)
    assert row["mean_difference"] == pytest.approx(0.4 / 12)
    assert "agreement" not in row["pytorch"]


def test_a_text_of_two_sets_is_answered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def predictor(_: Path) -> evaluate.Predict:
        def predict(texts: object) -> np.ndarray:
            asked.append(list(texts))  # type: ignore[call-overload]
            return np.tile([0.5, 0.3, 0.2], (len(asked[-1]), 1))

        return predict

    monkeypatch.setattr(evaluate, "bundle_predictor", predictor)
    both = Example("up", POSITIVE)
    sets = {"one": [both, Example("down", NEGATIVE)], "two": [Example("flat", NEUTRAL), both]}
    rows = evaluate.evaluate(sets, None, {"int8": tmp_path})

    assert asked == [["up", "down", "flat"]]
    assert [row["int8"]["accuracy"] for row in rows] == [0.5, 0.5]
    lines = evaluate.table(rows).splitlines()
    assert len(lines) == 3
    assert "0.5000" in lines[1]
    with pytest.raises(ValueError, match="the set none is empty"):
        evaluate.evaluate({"none": []}, None, {"int8": tmp_path})


@pytest.mark.parametrize(
    ("given", "why"), [("int8", "is not NAME=DIR"), ("rows=x", "take another"), ("=x", "NAME=DIR")]
)
def test_a_bundle_needs_a_name_of_its_own(given: str, why: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=why):
        evaluate.named_bundle(given)
    assert evaluate.named_bundle("int8=a=b") == ("int8", Path("a=b"))


def test_missing_data_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--data", str(tmp_path), "--bundle", f"int8={tmp_path}", "--dry"]
    monkeypatch.setattr(sys, "argv", words)

    assert evaluate.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "sent_valid.csv" in line
