"""The training loop and the order of the stages, on a model of a few thousand weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "train"))

import distilling
import make
import stages
import training
import vocabulary
from data import Row, Sets, split_rows, training_rows

WORDS = ["up", "down", "flat", "stock", "news", "the"]
SETTINGS = training.Settings(epochs=2, learning_rate=1e-2, batch_size=4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads only wait for each other on matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tokenizer() -> Any:
    ids = {piece: i for i, piece in enumerate([*vocabulary.SPECIAL, *WORDS])}
    made = Tokenizer(WordPiece(ids, unk_token="[UNK]"))  # noqa: S106
    made.pre_tokenizer = BertPreTokenizer()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]")  # noqa: S106


def network() -> training.TwoHeads:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=3,
        hidden_dropout_prob=0.01,
        attention_probs_dropout_prob=0.0,
    )
    return training.TwoHeads(transformers.BertForSequenceClassification(config))


def rows() -> list[Row]:
    found = []
    for i in range(24):
        word, label = (("up", 0), ("down", 1), ("flat", 2))[i % 3]
        target = tuple(float(label == j) for j in range(3))
        text = f"the stock {word}" if i % 2 else f"news {word}"
        found.append(Row(text, target, target if i % 4 else None, "tweet"))  # type: ignore[arg-type]
    return found


def test_it_learns_and_goes_on_where_it_stopped(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, epochs=8)
    whole = network()
    training.train(whole, tokenizer, rows(), settings, tmp_path / "whole.pt")
    logits = training.answers(whole, tokenizer, ["news up", "news down", "news flat"])
    assert logits[:, 0].argmax(axis=1).tolist() == [0, 1, 2]

    state, batches = tmp_path / "halves.pt", training.batches

    def interrupted(lengths: list[int], size: int, seed: int) -> list[list[int]]:
        if seed == 3:
            raise KeyboardInterrupt
        return batches(lengths, size, seed)

    monkeypatch.setattr(training, "batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(network(), tokenizer, rows(), settings, state)
    monkeypatch.undo()
    halves = network()
    training.train(halves, tokenizer, rows(), settings, state)
    for one, other in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_heads_that_a_checkpoint_lacks_are_the_same_each_time(
    tokenizer: Any, tmp_path: Path
) -> None:
    """Else no training that was interrupted would be gone on with."""
    network().model.bert.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    one, same, other = (stages.load_network(tmp_path, seed)[0] for seed in (1, 1, 2))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(same.state_dict()[name], value, rtol=0, atol=0)
    assert not torch.equal(one.second.weight, other.second.weight)
    assert not torch.equal(one.model.classifier.weight, other.model.classifier.weight)


def test_it_does_not_go_on_with_other_weights_rows_or_settings(
    tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.pt"
    training.train(network(), tokenizer, rows(), SETTINGS, state)

    def shifted() -> training.TwoHeads:
        made = network()
        made.second.bias.data += 1.0
        return made

    for start, learnt, settings in (
        (network, rows()[1:], SETTINGS),
        (network, rows(), SETTINGS),
        (shifted, rows(), SETTINGS),
        (network, rows(), replace(SETTINGS, epochs=1)),
    ):
        found, fresh = start(), start()
        training.train(found, tokenizer, learnt, settings, state)
        assert "beginning anew" in capsys.readouterr().out
        training.train(fresh, tokenizer, learnt, settings, tmp_path / "other.pt")
        capsys.readouterr()
        (tmp_path / "other.pt").unlink()
        for one, other in zip(found.parameters(), fresh.parameters(), strict=True):
            torch.testing.assert_close(one, other)
    training.train(network(), tokenizer, learnt, settings, state)
    assert "resuming after epoch 1" in capsys.readouterr().out


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

    found = training.answers(student, tokenizer, ["news up", "news down", "news flat"])
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
        distilling, "answers", lambda name, _, texts: np.array([[logits[name]] * 2] * len(texts))
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
    monkeypatch.setattr(distilling, "train", lambda _, __, rows, *___: learnt.append(rows))
    monkeypatch.setattr(distilling, "save_network", lambda *_: None)
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


def test_lower_layers_learn_slower() -> None:
    model = network()
    groups = list(training.parameter_groups(model, replace(SETTINGS, layer_decay=0.5)))
    names = [name for name, _ in model.named_parameters()]
    rates = dict(zip(names, (group["lr"] for group in groups), strict=True))

    assert rates["second.weight"] == rates["model.classifier.weight"] == 1e-2
    assert rates["model.bert.encoder.layer.0.output.dense.weight"] == 1e-2
    assert rates["model.bert.embeddings.word_embeddings.weight"] == 5e-3
    decays = dict(zip(names, (group["weight_decay"] for group in groups), strict=True))
    assert (decays["second.weight"], decays["second.bias"]) == (0.01, 0.0)


def test_every_row_has_one_batch() -> None:
    lengths = [i * 7 % 50 for i in range(103)]
    cut = training.batches(lengths, 8, seed=1)

    assert sorted(i for batch in cut for i in batch) == list(range(103))
    assert cut != training.batches(lengths, 8, seed=2)


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
    from data import Example

    valid = [Example("Profit rose.", (1.0, 0.0, 0.0))]
    sets = Sets([Example("a tweet", (0.0, 0.0, 1.0))], valid, [], [], [])
    found = training_rows(sets, {"a tweet": 0}, [("PROFIT rose", 0), ("Sales fell", 1)])

    assert [(row.text, row.kind) for row in found] == [("a tweet", "tweet"), ("Sales fell", "own")]
    assert found[0].finbert is not None
    assert found[0].finbert[0] > found[0].finbert[2]
    assert (found[0].label, found[1].label) == (2, 1)


def test_stages_run_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def stage(place: int) -> Any:
        def run(*arguments: Any, **_: Any) -> None:
            folder = arguments[place]
            ran.append(folder.name)
            folder.mkdir()

        return run

    monkeypatch.setattr(stages, "make_base", stage(1))
    monkeypatch.setattr(distilling, "make_answers", stage(1))
    monkeypatch.setattr(stages, "make_wide", stage(2))
    monkeypatch.setattr(distilling, "make_narrow", stage(2))
    began: list[str] = []

    def student(_: Path, start: Path, *others: Any) -> None:
        began.append(start.name)
        stage(1)(*others)

    monkeypatch.setattr(distilling, "make_student", student)
    monkeypatch.setattr(distilling, "calibrate", stage(2))
    monkeypatch.setattr(make, "build", stage(2))

    make.make(tmp_path, tmp_path / "work", until="teacher-1")
    assert ran == ["base", "wide", "teacher-1"]
    make.make(tmp_path, tmp_path / "work")
    assert ran == list(make.STAGES)
    assert began == ["narrow", "narrow"]
    assert ran[5:8] == ["narrow", "student-1", "student-2"]
    assert f"[3/{len(ran)}] teacher-1: there already" in capsys.readouterr().out
    (tmp_path / "work" / "wide").rmdir()
    with pytest.raises(ValueError, match="teacher-1 was made after wide"):
        make.make(tmp_path, tmp_path / "work")
