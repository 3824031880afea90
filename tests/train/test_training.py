"""The training loop and the order of the stages, on a model of a few thousand weights."""

from __future__ import annotations

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
    assert logits.argmax(axis=1).tolist() == [0, 1, 2]

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


def test_teachers_count_as_much_as_they_are_told() -> None:
    """Half of a labelled row's target, and the whole of an unlabelled one's."""
    told = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]], dtype=np.float32)
    labelled = Row("news up", (1.0, 0.0, 0.0), (0.9, 0.1, 0.0), "tweet")
    unlabelled = Row("news", (1 / 3, 1 / 3, 1 / 3), None, "unlabelled")

    found = stages.taught([labelled, unlabelled], told, share=0.5)

    assert [row.target for row in found] == [(0.75, 0.125, 0.125), (0.0, 1.0, 0.0)]
    assert [row.finbert for row in found] == [(0.9, 0.1, 0.0), None]


def test_what_is_taught_is_learnt(tokenizer: Any, tmp_path: Path) -> None:
    """Teachers that contradict every label win when the labels weigh nothing."""
    contrary = np.roll(np.array([row.target for row in rows()], dtype=np.float32), 1, axis=1)
    settings = replace(SETTINGS, epochs=8, finbert_weight=0.0)
    student = network()
    training.train(
        student, tokenizer, stages.taught(rows(), contrary, share=1.0), settings, tmp_path / "t.pt"
    )

    found = training.answers(student, tokenizer, ["news up", "news down", "news flat"])
    assert found.argmax(axis=1).tolist() == [1, 2, 0]


def test_several_teachers_are_averaged_softly(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = {"one": [[3.0, 0.0, 0.0]], "two": [[0.0, 3.0, 0.0]]}
    monkeypatch.setattr(stages, "_load", lambda folder: (folder.name, tokenizer))
    monkeypatch.setattr(stages, "answers", lambda name, *_: np.array(logits[name]))

    found = stages.teach(["news"], [tmp_path / "one", tmp_path / "two"])

    sure = float(np.exp(3 / stages.SOFTENING) / (np.exp(3 / stages.SOFTENING) + 2))
    rest = (1 - sure) / 2
    assert found[0].tolist() == pytest.approx([(sure + rest) / 2, (sure + rest) / 2, rest])


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
    for name in ("make_wide", "make_student", "calibrate"):
        monkeypatch.setattr(stages, name, stage(2))
    monkeypatch.setattr(make, "build", stage(2))

    make.make(tmp_path, tmp_path / "work", until="teacher-1")
    assert ran == ["base", "wide", "teacher-1"]
    make.make(tmp_path, tmp_path / "work")
    assert ran == list(make.STAGES)
    assert "teacher-2" in ran
    assert "[3/7] teacher-1: there already" in capsys.readouterr().out
