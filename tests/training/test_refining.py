"""The choice between the starting and the refined weights, with models of few weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leanbert_training import refining, training
from leanbert_training.data import LABELS
from leanbert_training.refining_rows import PLAIN
from leanbert_training.rows import Row
from tests.helpers.training_models import network


def held() -> list[Row]:
    labels = (0, 1, 2)
    return [
        Row(f"{kind} {label}", tuple(float(label == i) for i in range(3)), None, kind)  # type: ignore[arg-type]
        for kind, count in (("tweet", 4), ("finbert", 2), ("case", 1), ("wording", 1))
        for _ in range(count)
        for label in labels
    ]


def test_weights_between_two_networks() -> None:
    one, other = network(), network()
    with torch.no_grad():
        other.model.classifier.bias += 2.0
    found = refining.mixed(one, other, 0.25)
    expected = one.model.classifier.bias + 0.5
    torch.testing.assert_close(found["model.classifier.bias"], expected)
    torch.testing.assert_close(found["second.weight"], one.second.weight.data)


def test_sources_count_as_their_weights_say_whatever_their_rows() -> None:
    rows = held()
    weights = refining._weights(rows)
    for kind, weight in refining.WEIGHTS.items():
        mine = [w for w, row in zip(weights, rows, strict=True) if row.kind == kind]
        assert sum(mine) == pytest.approx(weight)


@pytest.fixture
def calibrated(tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Weights six tenths of the way from one network to the other answer best."""
    networks = {name: network() for name in ("lexicon", "polished")}
    with torch.no_grad():
        for bias, made in zip((0.0, 2.0), networks.values(), strict=True):
            made.model.classifier.bias.fill_(bias)
    saved: list[training.TwoHeads] = []

    def answers(made: training.TwoHeads, _: Any, texts: list[str]) -> np.ndarray:
        share = float(made.model.classifier.bias[0].detach()) / 2
        sure = 3.0 - 2 * abs(share - 0.6)
        labels = [int(text[-1]) for text in texts]
        logits = np.array([[sure * (i == label) for i in range(3)] for label in labels])
        logits += np.random.default_rng(0).normal(size=logits.shape) * 1.5
        logits[:, 0] += 0.7  # the first label is preferred
        return np.stack([logits, logits], axis=1)

    def load(folder: Path) -> tuple[training.TwoHeads, Any]:
        made = network()
        made.load_state_dict(networks[folder.name].state_dict())
        return made, tokenizer

    monkeypatch.setattr(refining, "rows_of", lambda _: ([], held()[:-6]))
    monkeypatch.setattr(refining, "held_cases", lambda: held()[-6:-3])
    monkeypatch.setattr(refining, "held_wordings", lambda: held()[-3:])
    anchored = [Row("learnt 0", (1.0, 0.0, 0.0), None, "tweet")]
    anchored += [Row("guard 0", (0.0, 0.0, 1.0), None, "post") for _ in range(2 * refining.GUARDS)]
    monkeypatch.setattr(refining, "_anchors", lambda _: anchored)
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    np.save(anchors / "answers.npy", np.eye(3, dtype=np.float32)[[0] * len(anchored)])
    monkeypatch.setattr(refining, "load_network", load)
    monkeypatch.setattr(refining, "predict_logits", answers)
    monkeypatch.setattr(refining, "save_network", lambda made, *_, **__: saved.append(made))
    start = tmp_path / "start"
    start.mkdir()
    (start / refining.SOURCE).write_text('{"bundle": "ab"}', encoding="utf-8")
    lexicon, polished = tmp_path / "lexicon", tmp_path / "polished"
    found = refining.calibrate(tmp_path, start, anchors, lexicon, polished, tmp_path / "final")
    written = json.loads((tmp_path / "final" / "calibration.json").read_text(encoding="utf-8"))
    assert written == found
    return {**found, "folded": saved[0].model.classifier.bias}


def test_the_rows_held_back_choose_how_far_to_go(calibrated: dict[str, Any]) -> None:
    assert calibrated["share"] == 0.6
    losses = {share: found["after"]["loss"] for share, found in calibrated["shares"].items()}
    assert min(losses, key=losses.__getitem__) == "0.6"
    assert calibrated["rows"] == {"tweet": 12, "finbert": 6, "case": 3, "wording": 3}
    assert calibrated["source"] == {"bundle": "ab"}
    assert calibrated["guards"] == 2


def test_temperature_and_bias_are_folded_into_the_weights(calibrated: dict[str, Any]) -> None:
    bias = np.array([calibrated["bias"][label] for label in LABELS])
    assert bias[0] == bias.min() < -0.3  # against the preference
    expected = 1.2 / calibrated["temperature"] + bias
    assert calibrated["folded"].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    for found in calibrated["shares"].values():
        assert found["after"]["loss"] < found["before"]["loss"]


def test_of_the_unlabelled_texts_alone_some_are_guards() -> None:
    third = (1 / 3, 1 / 3, 1 / 3)
    many = refining.GUARDS
    kinds = ["tweet", *["post"] * many, "finbert", *["sentence"] * many, "own"]
    rows = [Row(f"{kind} {i}", third, None, kind) for i, kind in enumerate(kinds)]
    assert np.flatnonzero(refining.guards(rows)).tolist() == [many, 2 * many + 1]


def test_a_guard_counts_answers_that_stay() -> None:
    reference = np.array([[0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])
    same = refining.guard_measured(np.log(reference), reference)
    assert same == {"same_label": 1.0, "divergence": pytest.approx(0.0, abs=1e-6)}
    other = refining.guard_measured(np.log(reference[::-1]), reference)
    assert other["same_label"] == 0.0
    expected = 0.6 * np.log(6) + 0.2 * np.log(0.25) + 0.2 * np.log(2)
    expected += 0.1 * np.log(1 / 6) + 0.8 * np.log(4) + 0.1 * np.log(0.5)
    assert other["divergence"] == pytest.approx(expected / 2)


def test_each_training_takes_its_rows_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    trained: list[tuple[list[Row], Any]] = []
    third = (1 / 3, 1 / 3, 1 / 3)
    kinds = ["tweet"] * refining.POLISHED + [PLAIN] * 7

    def rows(data: Path, anchors: Path, mix: Any, seed: int) -> list[Row]:
        asked.append((data.name, anchors.name, mix, seed))
        return [Row(f"{kind} {i}", third, None, kind) for i, kind in enumerate(kinds)]

    def train(_: Any, __: Any, found: list[Row], settings: Any, *___: Any, **____: Any) -> None:
        trained.append((found, settings))

    monkeypatch.setattr(refining, "_rows", rows)
    monkeypatch.setattr(refining, "load_network", lambda _: (network(), None))
    monkeypatch.setattr(refining, "train_stage", train)
    folders = [tmp_path / name for name in ("data", "start", "anchors", "out")]
    for stage in (refining.make_refined, refining.make_settled, refining.make_polished):
        stage(*folders)

    assert [(data, anchors) for data, anchors, _, _ in asked] == [("data", "anchors")] * 3
    assert [mix.tweet_copies for _, _, mix, _ in asked] == [1, 2, 2]
    assert [mix.plain_rounds for _, _, mix, _ in asked] == [0, 0, 40]
    assert len({seed for _, _, _, seed in asked}) == 3
    rates = [settings.learning_rate for _, settings in trained]
    assert rates == sorted(rates, reverse=True)
    assert [settings.last_rate for _, settings in trained] == [0.53, 0.0, 0.0]
    assert [len(found) for found, _ in trained] == [len(kinds)] * 2 + [refining.POLISHED]
    assert sum(row.kind == PLAIN for row in trained[-1][0]) == 7
