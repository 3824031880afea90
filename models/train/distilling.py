"""Teach the students: what the teachers answer, what each learns, their mean, its temperature.

As in `stages`, each stage writes one folder, which appears when the stage is complete.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from calibrating import divergence, fit_temperature, fold_temperature, softmax
from data import UNLABELLED, Row, Target, held_back, split_rows, transfer_rows
from evaluate import accuracy, calibration_error
from narrowing import importance, narrow
from stages import HELD_SHARE, SEED, Shape, load_network, new_stage, rows_of, save_network
from training import Floats, Settings, TwoHeads, answers, encode, soft_cross_entropy, train

STUDENT = Settings(epochs=4, learning_rate=1e-4, layer_decay=0.95, swaps=0.6)


@dataclass(frozen=True)
class Lesson:
    """What one of the students learns beside the labels."""

    transfer: int
    """Unlabelled texts, learnt from the teachers' answers alone."""
    both_heads: bool
    """Both heads learn what the teachers' heads answer, and the first what their second ones say
    of formal text; else the first learns from the first, and the second from FinBERT alone."""
    settings: Settings = STUDENT


LESSONS = (Lesson(15000, both_heads=False), Lesson(25000, both_heads=True))
"""One student each; what ships is the mean of their weights."""
IMPORTANCE_ROWS = 800
SOFTENING = 1.5
"""Temperature of the teachers' answers: on rows that they were trained on they are too sure."""
TEACHERS_SHARE = 0.5
"""Of the teachers' answers in a labelled row's target; an unlabelled row has nothing else."""


def _losses(network: TwoHeads, tokenizer: Any, rows: list[Row], size: int) -> Iterator[Any]:
    network.eval()
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, _ = network(encode(tokenizer, [row.text for row in batch]))
        yield soft_cross_entropy(logits, torch.tensor([row.target for row in batch])).mean()


def _told(network: TwoHeads, tokenizer: Any, texts: Sequence[str]) -> Floats:
    """Softened distributions of both heads, ``(texts, heads, labels)``."""
    logits = answers(network, tokenizer, texts).astype(np.float64)
    found: Floats = softmax(logits / SOFTENING).astype(np.float32)
    return found


def make_answers(data: Path, folder: Path, teachers: Sequence[Path]) -> None:
    """What the teachers say of every labelled row and of all unlabelled texts of the lessons.

    ``rows.jsonl``: the texts and where each is from; ``answers.npy``: the mean of the teachers'
    softened distributions, ``(texts, heads, labels)``.
    """
    rows = [row for part in rows_of(data) for row in part]
    texts: dict[str, Row] = {}  # the lessons share most of theirs
    for lesson in LESSONS:
        texts |= {row.text: row for row in transfer_rows(data, lesson.transfer, SEED)}
    rows += texts.values()
    found = [_told(*load_network(teacher), [row.text for row in rows]) for teacher in teachers]
    with new_stage(folder) as partial:
        np.save(partial / "answers.npy", np.mean(found, axis=0))
        with (partial / "rows.jsonl").open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def _row(told: dict[str, Any]) -> Row:
    finbert = told["finbert"]
    return Row(told["text"], tuple(told["target"]), finbert and tuple(finbert), told["kind"])


def _rows_told(folder: Path) -> tuple[list[Row], Floats]:
    """What :func:`make_answers` left in ``folder``."""
    with (folder / "rows.jsonl").open(encoding="utf-8") as file:
        rows = [_row(json.loads(line)) for line in file]
    return rows, np.load(folder / "answers.npy")


def taught(
    rows: Sequence[Row], told: Floats, *, both_heads: bool, share: float = TEACHERS_SHARE
) -> list[Row]:
    """``rows`` with the teachers' answers mixed into the targets, ``share`` of each.

    An unlabelled row learns the answers alone. ``both_heads``: see :class:`Lesson`; the teachers'
    second heads know better what FinBERT says (README.md).

    *Shape:* ``told`` ``(rows, heads, labels)``.
    """

    def mixed(own: Target | None, theirs: Sequence[float]) -> Target:
        part = 1.0 if own is None else share
        row = [(1 - part) * a + part * b for a, b in zip(own or theirs, theirs, strict=True)]
        return (row[0], row[1], row[2])

    found = []
    for row, (first, second) in zip(rows, told.tolist(), strict=True):
        formal = both_heads and row.kind in ("finbert", "sentence")
        label = None if row.kind in UNLABELLED else row.target
        found.append(
            replace(
                row,
                target=mixed(label, second if formal else first),
                finbert=mixed(row.finbert, second) if both_heads else row.finbert,
            )
        )
    return found


def make_narrow(wide: Path, answers_folder: Path, folder: Path, shape: Shape) -> None:
    """``wide`` with fewer neurons: where each student starts, so that they can be averaged."""
    network, tokenizer = load_network(wide)
    rows, _ = _rows_told(answers_folder)
    learnt, _ = split_rows([row for row in rows if row.kind not in UNLABELLED], HELD_SHARE)
    sample = random.Random(SEED).sample(learnt, min(len(learnt), IMPORTANCE_ROWS))
    losses = _losses(network, tokenizer, sample, STUDENT.batch_size)
    narrow(network.model, importance(network.model, losses), shape.width)
    with new_stage(folder) as partial:
        save_network(network, wide, partial)


def make_student(
    data: Path,
    start: Path,
    answers_folder: Path,
    folder: Path,
    lesson: Lesson,
) -> None:
    """``start`` trained on the labels and on the teachers' answers.

    Raises:
        ValueError: the teachers were not asked about all unlabelled texts of the lesson.
    """
    network, tokenizer = load_network(start)
    rows, told = _rows_told(answers_folder)
    held = held_back(rows, HELD_SHARE)
    texts = {row.text for row in transfer_rows(data, lesson.transfer, SEED)}
    if missing := len(texts - {row.text for row in rows}):
        raise ValueError(f"{answers_folder} lacks {missing} texts: delete it to ask the teachers")
    kept = [
        i
        for i, row in enumerate(rows)
        if (row.text in texts if row.kind in UNLABELLED else not held[i])
    ]
    state = folder.with_suffix(".resume.pt")
    targets = taught([rows[i] for i in kept], told[kept], both_heads=lesson.both_heads)
    train(network, tokenizer, targets, lesson.settings, state)
    with new_stage(folder) as partial:
        save_network(network, start, partial)
    state.unlink(missing_ok=True)


def mean_of_weights(networks: Sequence[TwoHeads]) -> TwoHeads:
    """The first network with the mean of all weights (arXiv 2203.05482). Changes it."""
    states = [network.state_dict() for network in networks]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
    networks[0].load_state_dict(mean)
    return networks[0]


def calibrate(answers_folder: Path, students: Sequence[Path], folder: Path) -> dict[str, Any]:
    """The mean of the students, its temperature folded in; returns what the held-back rows say."""
    rows, told = _rows_told(answers_folder)
    is_held = held_back(rows, HELD_SHARE)
    held = [row for row, one in zip(rows, is_held, strict=True) if one]
    texts, teachers = [row.text for row in held], told[is_held][:, 0]
    labels = np.array([row.label for row in held], dtype=np.int64)
    tweets = np.array([row.kind == "tweet" for row in held])
    loaded = [load_network(student) for student in students]
    tokenizer = loaded[0][1]

    def found(logits: npt.NDArray[Any]) -> dict[str, float]:
        answer = logits.argmax(axis=1)
        return {
            "accuracy_tweets": accuracy(answer[tweets], labels[tweets]),
            "agreement_finbert": accuracy(answer[~tweets], labels[~tweets]),
            "divergence_from_teachers": divergence(teachers, softmax(logits)),
        }

    told_of: dict[str, Any] = {"teachers": found(np.log(teachers))}
    for student, (network, _) in zip(students, loaded, strict=True):
        told_of[student.name] = found(answers(network, tokenizer, texts)[:, 0])
    network = mean_of_weights([network for network, _ in loaded])
    logits = answers(network, tokenizer, texts)[:, 0].astype(np.float64)
    temperature = fit_temperature(logits[tweets], labels[tweets])
    before, after = (softmax(logits[tweets] / t) for t in (1.0, temperature))
    told_of |= {
        "mean of the weights": found(logits),
        "temperature": temperature,
        "rows": int(tweets.sum()),
        "ece_before": calibration_error(before, labels[tweets]),
        "ece_after": calibration_error(after, labels[tweets]),
    }
    fold_temperature(network.model, temperature)
    with new_stage(folder) as partial:
        save_network(network, students[0], partial, both_heads=False)
        with (partial / "calibration.json").open("w", encoding="utf-8") as file:
            json.dump(told_of, file, indent=1)
    return told_of
