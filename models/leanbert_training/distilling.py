"""Teach the students: the teachers' answers, the students, the mean of their weights.

As in :mod:`leanbert_training.stages`, each stage writes one folder, which appears when the stage is
complete.
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

from leanbert_bench.metrics import accuracy, calibration_error
from leanbert_training.calibrating import divergence, fit_temperature, fold_temperature, softmax
from leanbert_training.data import Target
from leanbert_training.narrowing import importance, narrow
from leanbert_training.rows import (
    UNLABELLED,
    Row,
    blended,
    held_back,
    split_rows,
    transfer_rows,
)
from leanbert_training.stages import (
    HELD_SHARE,
    SEED,
    Shape,
    load_network,
    new_stage,
    rows_of,
    save_network,
    train_stage,
)
from leanbert_training.training import (
    Floats,
    Settings,
    TwoHeads,
    encode,
    predict_logits,
    soft_cross_entropy,
)

STUDENT = Settings(epochs=4, learning_rate=1e-4, layer_decay=0.95, swaps=0.6)


@dataclass(frozen=True)
class Lesson:
    """What one of the students learns besides the labels."""

    transfer: int
    """How many unlabelled texts it learns from, by the teachers' answers alone."""
    both_heads: bool
    """Whether the teachers' second heads teach, too.

    If so, each head learns from the same head of the teachers, except that the first learns formal
    text from their second. If not, the first learns from their first, the second from FinBERT.
    """
    settings: Settings = STUDENT


LESSONS = (Lesson(15000, both_heads=False), Lesson(25000, both_heads=True))
"""The lesson of each student. The mean of their weights is what ships."""
IMPORTANCE_ROWS = 800
"""How many rows the importance of neurons is measured on."""
SOFTENING = 1.5
"""The temperature of the teachers' answers: they are too sure of rows that they learnt from."""
TEACHERS_SHARE = 0.5
"""Share of the teachers' answers in the target of a labelled row. Of an unlabelled row it is 1."""


def _losses(network: TwoHeads, tokenizer: Any, rows: list[Row], size: int) -> Iterator[Any]:
    network.eval()
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, _ = network(encode(tokenizer, [row.text for row in batch]))
        yield soft_cross_entropy(logits, torch.tensor([row.target for row in batch])).mean()


def _softened(network: TwoHeads, tokenizer: Any, texts: Sequence[str]) -> Floats:
    """The softened probabilities of both heads, *shape* ``(texts, heads, labels)``."""
    logits = predict_logits(network, tokenizer, texts).astype(np.float64)
    found: Floats = softmax(logits / SOFTENING).astype(np.float32)
    return found


def make_answers(data: Path, folder: Path, teachers: Sequence[Path]) -> None:
    """Let the teachers answer every labelled row and all unlabelled texts of the lessons.

    The folder holds ``rows.jsonl``, the rows, and ``answers.npy``, the mean of the teachers'
    softened probabilities, *shape* ``(rows, heads, labels)``.

    Args:
        data: the folder of the public sets.
        folder: the folder to write.
        teachers: the folder of each teacher.
    """
    rows = [row for part in rows_of(data) for row in part]
    texts: dict[str, Row] = {}  # the lessons share most of their texts
    for lesson in LESSONS:
        texts |= {row.text: row for row in transfer_rows(data, lesson.transfer, SEED)}
    rows += texts.values()
    found = [_softened(*load_network(teacher), [row.text for row in rows]) for teacher in teachers]
    with new_stage(folder) as partial:
        np.save(partial / "answers.npy", np.mean(found, axis=0))
        with (partial / "rows.jsonl").open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def _row(saved: dict[str, Any]) -> Row:
    finbert = saved["finbert"]
    return Row(saved["text"], tuple(saved["target"]), finbert and tuple(finbert), saved["kind"])


def _read_answers(folder: Path) -> tuple[list[Row], Floats]:
    """The rows and the teachers' answers that :func:`make_answers` wrote into ``folder``."""
    with (folder / "rows.jsonl").open(encoding="utf-8") as file:
        rows = [_row(json.loads(line)) for line in file]
    return rows, np.load(folder / "answers.npy")


def taught(
    rows: Sequence[Row], answers: Floats, *, both_heads: bool, share: float = TEACHERS_SHARE
) -> list[Row]:
    """The ``rows`` with the teachers' answers mixed into their targets.

    Args:
        rows: labelled and unlabelled rows.
        answers: the teachers' probabilities, *shape* ``(rows, heads, labels)``.
        both_heads: as in :class:`Lesson`. The second heads know better how FinBERT answers.
        share: the share of the answers in a labelled row's target.
    """

    def mixed(own: Target | None, theirs: Sequence[float]) -> Target:
        return blended(own or theirs, theirs, 1.0 if own is None else share)

    found = []
    for row, (first, second) in zip(rows, answers.tolist(), strict=True):
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
    """Cut ``wide`` to fewer neurons. All students start there, so that they can be averaged."""
    network, tokenizer = load_network(wide)
    rows, _ = _read_answers(answers_folder)
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
    """Train the network in ``start`` on the labels and on the teachers' answers.

    Args:
        data: the folder of the public sets.
        start: the folder of :func:`make_narrow`.
        answers_folder: the folder of :func:`make_answers`.
        folder: the folder to write.
        lesson: what this student learns.

    Raises:
        ValueError: the teachers' answers lack an unlabelled text of the lesson.
    """
    network, tokenizer = load_network(start)
    rows, answers = _read_answers(answers_folder)
    held = held_back(rows, HELD_SHARE)
    texts = {row.text for row in transfer_rows(data, lesson.transfer, SEED)}
    if missing := len(texts - {row.text for row in rows}):
        raise ValueError(f"{answers_folder} lacks {missing} texts: delete it to ask the teachers")
    kept = [
        i
        for i, row in enumerate(rows)
        if (row.text in texts if row.kind in UNLABELLED else not held[i])
    ]
    targets = taught([rows[i] for i in kept], answers[kept], both_heads=lesson.both_heads)
    train_stage(network, tokenizer, targets, lesson.settings, start, folder)


def mean_of_weights(networks: Sequence[TwoHeads]) -> TwoHeads:
    """Set the weights of the first network to the mean of all networks' (arXiv 2203.05482)."""
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
    """Write the mean of the students, with its temperature folded into the weights.

    Args:
        answers_folder: the folder of :func:`make_answers`.
        students: the folder of each student.
        folder: the folder to write, a Hugging Face checkpoint with ``calibration.json``.

    Returns:
        What was measured on the rows held back: the content of ``calibration.json``.
    """
    rows, answers = _read_answers(answers_folder)
    is_held = held_back(rows, HELD_SHARE)
    held = [row for row, one in zip(rows, is_held, strict=True) if one]
    texts, teachers = [row.text for row in held], answers[is_held][:, 0]
    labels = np.array([row.label for row in held], dtype=np.int64)
    tweets = np.array([row.kind == "tweet" for row in held])
    loaded = [load_network(student) for student in students]
    tokenizer = loaded[0][1]

    def found(logits: npt.NDArray[Any]) -> dict[str, float]:
        return {
            "accuracy_tweets": accuracy(logits[tweets], labels[tweets]),
            "agreement_finbert": accuracy(logits[~tweets], labels[~tweets]),
            "divergence_from_teachers": divergence(teachers, softmax(logits)),
        }

    measured: dict[str, Any] = {"teachers": found(np.log(teachers))}
    for student, (network, _) in zip(students, loaded, strict=True):
        measured[student.name] = found(predict_logits(network, tokenizer, texts)[:, 0])
    network = mean_of_weights([network for network, _ in loaded])
    logits = predict_logits(network, tokenizer, texts)[:, 0].astype(np.float64)
    temperature = fit_temperature(logits[tweets], labels[tweets])
    before, after = (softmax(logits[tweets] / t) for t in (1.0, temperature))
    measured |= {
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
            json.dump(measured, file, indent=1)
    return measured
