"""What the teachers answer and what the students learn, with models of a few thousand weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leanbert_training import distilling, stages, training
from leanbert_training.rows import Row, split_rows
from tests.helpers.training_models import SETTINGS, network, rows


def test_teachers_count_as_much_as_they_are_told() -> None:
    """Half of a labelled row's targets, and the whole of an unlabelled one's."""
    told = np.array([[[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]] * 3, dtype=np.float32)
    labelled = Row("news up", (1.0, 0.0, 0.0), (0.5, 0.5, 0.0), "tweet")
    unknown = Row("news down", (0.0, 1.0, 0.0), None, "tweet")
    post = Row("news", (1 / 3, 1 / 3, 1 / 3), None, "post")

    found = distilling.taught([labelled, unknown, post], told, both_heads=True, share=0.5)

    assert [row.target for row in found] == [
        (0.75, 0.125, 0.125), (0.25, 0.625, 0.125), (0.5, 0.25, 0.25),
    ]  # fmt: skip
    assert [row.finbert for row in found] == [(0.25, 0.25, 0.5), (0, 0, 1), (0, 0, 1)]


@pytest.mark.parametrize("both_heads", [True, False])
@pytest.mark.parametrize(
    ("kind", "head"), [("tweet", 0), ("own", 0), ("post", 0), ("finbert", 1), ("sentence", 1)]
)
def test_formal_text_is_taught_by_the_head_that_answers_as_finbert_does(
    kind: str, head: int, both_heads: bool
) -> None:
    told = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], dtype=np.float32)
    row = Row("news", (0.0, 0.0, 1.0), None, kind)
    (found,) = distilling.taught([row], told, both_heads=both_heads, share=1.0)
    assert found.target == tuple(told[0, head if both_heads else 0])
    assert found.finbert == (tuple(told[0, 1]) if both_heads else None)


def test_what_is_taught_is_learnt(tokenizer: Any, tmp_path: Path) -> None:
    """Teachers that contradict every label win when the labels weigh nothing."""
    contrary = np.roll(np.array([[row.target] * 2 for row in rows()], dtype=np.float32), 1, axis=2)
    settings = replace(SETTINGS, epochs=8, finbert_weight=0.0)
    student = network()
    targets = distilling.taught(rows(), contrary, both_heads=False, share=1.0)
    training.train(student, tokenizer, targets, settings, tmp_path / "t.pt")

    found = training.predict_logits(student, tokenizer, ["news up", "news down", "news flat"])
    assert found[:, 0].argmax(axis=1).tolist() == [1, 2, 0]


def labelled_rows() -> list[Row]:
    kinds = ("tweet", "finbert")
    return [Row(f"news {i}", (1.0, 0.0, 0.0), None, kinds[i % 2]) for i in range(80)]


@pytest.fixture
def answered(tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What two teachers, sure of label 0 and of label 1, say of eighty rows and two texts."""
    logits = {"one": [3.0, 0.0, 0.0], "two": [0.0, 3.0, 0.0]}
    labelled = labelled_rows()
    thirds = (1 / 3, 1 / 3, 1 / 3)
    unlabelled = [Row("a post", thirds, None, "post"), Row("It rose.", thirds, None, "sentence")]
    monkeypatch.setattr(distilling, "rows_of", lambda _: split_rows(labelled, stages.HELD_SHARE))
    monkeypatch.setattr(distilling, "transfer_rows", lambda *_: unlabelled)
    monkeypatch.setattr(distilling, "load_network", lambda folder: (folder.name, tokenizer))
    monkeypatch.setattr(
        distilling,
        "predict_logits",
        lambda name, _, texts: np.array([[logits[name]] * 2] * len(texts)),
    )
    distilling.make_answers(tmp_path, tmp_path / "answers", [tmp_path / "one", tmp_path / "two"])
    monkeypatch.undo()
    return tmp_path / "answers"


def test_several_teachers_are_averaged_softly(answered: Path) -> None:
    found = np.load(answered / "answers.npy")

    sure = float(np.exp(3 / distilling.SOFTENING) / (np.exp(3 / distilling.SOFTENING) + 2))
    rest = (1 - sure) / 2
    assert found.shape == (82, 2, 3)
    assert found[0, 0].tolist() == pytest.approx([(sure + rest) / 2, (sure + rest) / 2, rest])


def test_students_learn_their_lesson_and_never_the_rows_held_back(
    answered: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[list[Row]] = []
    monkeypatch.setattr(distilling, "load_network", lambda _: (network(), tokenizer))
    monkeypatch.setattr(stages, "train", lambda _, __, rows, *___: learnt.append(rows))
    for module in (stages, distilling):
        monkeypatch.setattr(module, "save_network", lambda *_, **__: None)
    post = Row("a post", (1 / 3, 1 / 3, 1 / 3), None, "post")
    monkeypatch.setattr(distilling, "transfer_rows", lambda _, rows, __: [post] * min(rows, 1))
    start = tmp_path / "narrow"
    distilling.make_narrow(tmp_path / "wide", answered, start, stages.Shape(width=16))
    for name, lesson in (
        ("labels", distilling.Lesson(0, both_heads=False, settings=SETTINGS)),
        ("both", distilling.Lesson(1, both_heads=True, settings=SETTINGS)),
    ):
        distilling.make_student(tmp_path, start, answered, tmp_path / name, lesson)

    kept, held = split_rows(labelled_rows(), stages.HELD_SHARE)
    assert held
    assert [row.text for row in learnt[0]] == [row.text for row in kept]
    assert [row.text for row in learnt[1]] == [row.text for row in [*kept, post]]
    assert [rows[0].finbert is None for rows in learnt] == [True, False]

    strange = Row("never asked about", (1 / 3, 1 / 3, 1 / 3), None, "post")
    monkeypatch.setattr(distilling, "transfer_rows", lambda *_: [strange])
    with pytest.raises(ValueError, match="lacks 1 texts"):
        distilling.make_student(tmp_path, start, answered, tmp_path / "x", lesson)


def test_the_mean_of_weights_lies_between_the_students(
    answered: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = {"one": network(), "two": network()}
    with torch.no_grad():
        students["one"].model.classifier.bias.copy_(torch.tensor([2.0, 0.0, 0.0]))
        students["two"].model.classifier.bias.copy_(torch.tensor([0.0, 4.0, 0.0]))
        students["two"].model.bert.pooler.dense.bias += 1.0
        students["two"].second.bias.add_(1.0)
    saved: list[training.TwoHeads] = []

    def save(made: training.TwoHeads, *_: Any, **__: Any) -> None:
        saved.append(made)

    monkeypatch.setattr(
        distilling, "load_network", lambda folder: (students[folder.name], tokenizer)
    )
    monkeypatch.setattr(distilling, "save_network", save)
    names = [tmp_path / "one", tmp_path / "two"]
    second = students["one"].second.bias + 0.5
    found = distilling.calibrate(answered, names, tmp_path / "final")

    bias = saved[0].model.classifier.bias * found["temperature"]
    assert bias.tolist() == pytest.approx([1.0, 2.0, 0.0])
    assert saved[0].second.bias.tolist() == pytest.approx(second.tolist(), abs=1e-6)
    difference = (
        saved[0].model.bert.pooler.dense.bias - students["two"].model.bert.pooler.dense.bias
    )
    assert difference.tolist() == pytest.approx([-0.5] * len(difference))
    assert {"teachers", "one", "two", "mean of the weights"} <= set(found)
    assert json.loads((tmp_path / "final" / "calibration.json").read_text()) == found
