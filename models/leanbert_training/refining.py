"""Refine a classifier of tweets and reports on sentences of our own, and calibrate it.

The stages start from the weights of a bundle, such as the one that ships. Each writes one folder,
as in :mod:`leanbert_training.stages`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from leanbert_bench.metrics import accuracy, calibration_error
from leanbert_training.calibrating import (
    divergence,
    fit_scaling,
    fold_bias,
    fold_temperature,
    negative_log_likelihood,
    softmax,
)
from leanbert_training.data import LABELS, unlabelled_texts
from leanbert_training.lexicon import choose, exchange
from leanbert_training.refining_rows import (
    PLAIN,
    Mix,
    held_cases,
    held_wordings,
    own_rows,
    refining_rows,
)
from leanbert_training.restoring import restore
from leanbert_training.rows import UNLABELLED, Row, transfer_rows
from leanbert_training.stages import (
    SEED,
    load_network,
    new_stage,
    published,
    rows_of,
    save_network,
    train_stage,
)
from leanbert_training.training import Settings, TwoHeads, predict_logits
from leanbert_training.vocabulary import write_tokenizer

UNLABELLED_TEXTS = 24_000
"""How many unlabelled texts the starting model answers. All but the guards are learnt."""
UNLABELLED_SHARES = {
    "stocknet_tweets": 0.2, "earnings22": 0.3, "earnings21": 0.15, "fed_speeches": 0.1,
    "fomc_minutes": 0.25,
}  # fmt: skip
"""Mostly sentences of calls and minutes: a refining on headlines and posts costs formal text."""
GUARDS = 24
"""One of this many unlabelled texts is held back, to see whether the answers to it stay."""
REFINING = Settings(
    epochs=1,
    learning_rate=1.0e-4,
    layer_decay=0.9,
    batch_size=48,
    finbert_weight=0.5,
    swaps=0.65,
    warmup=0.12,
    last_rate=0.53,
)
SETTLING = replace(
    REFINING, learning_rate=REFINING.last_rate * REFINING.learning_rate, last_rate=0.0, seed=1
)
"""The rest of the way: on rows that are filled anew the learning rate falls to 0."""
GUARD_WEIGHT = 1.5
"""How much the guards' divergence counts beside the loss in the choice of the share."""
MIX = Mix()
SETTLING_MIX = replace(MIX, tweet_copies=2)
"""The rows of the settling: the refining before it costs tweets most."""
POLISHING = replace(SETTLING, learning_rate=2.5e-5, finbert_weight=0.0, seed=2)
"""The last steps, without the second head, which does not ship."""
POLISHING_MIX = replace(SETTLING_MIX, plain_rounds=40)
"""The rows that the last steps take a part of: beside hard sentences plain ones are forgotten."""
POLISHED = 19_200
"""How many rows the last steps take."""
SOURCE = "source.json"
"""The file in the folder ``start`` that holds the seal of the bundle."""
SHARES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The shares of the refined weights among which the rows held back choose."""
SOURCES = ("tweet", "finbert", "case", "wording")
"""The kinds of the rows held back."""
WEIGHTS = {"tweet": 2, "finbert": 2, "case": 1, "wording": 1}
"""How much each source counts, whatever its number of rows: what was learnt before must stay."""


def make_restored(bundle: Path, sha256: str, folder: Path) -> None:
    """Write the weights of a placed bundle as the checkpoint to start from."""
    with new_stage(folder) as partial:
        restore(bundle, partial, sha256)
        with (partial / SOURCE).open("w", encoding="utf-8") as file:
            json.dump({"bundle": sha256}, file)


def _anchors(data: Path) -> list[Row]:
    return [*rows_of(data)[0], *transfer_rows(data, UNLABELLED_TEXTS, SEED, UNLABELLED_SHARES)]


def guards(rows: Sequence[Row]) -> npt.NDArray[np.bool_]:
    """Which anchors are held back: one of :data:`GUARDS` unlabelled texts.

    *Shape:* ``(rows,)``.
    """
    unlabelled = np.array([row.kind in UNLABELLED for row in rows], dtype=bool)
    last: npt.NDArray[np.bool_] = np.cumsum(unlabelled) % GUARDS == 0
    return unlabelled & last


def make_anchors(data: Path, start: Path, folder: Path) -> None:
    """Let the starting model answer the rows that keep what it knows: ``answers.npy``.

    *Shape:* ``(rows, labels)``, in the order of the labelled and then the unlabelled rows.
    """
    network, tokenizer = load_network(start)
    logits = predict_logits(network, tokenizer, [row.text for row in _anchors(data)])[:, 0]
    with new_stage(folder) as partial:
        np.save(partial / "answers.npy", softmax(logits).astype(np.float32))


def make_lexicon(data: Path, start: Path, folder: Path) -> None:
    """Write the starting model with the pieces that :mod:`leanbert_training.lexicon` chooses."""
    source = published()
    content = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    present = json.loads((start / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = present["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    rows, _ = rows_of(data)
    kinds = [(0.5, [row.text for row in rows if row.kind == kind]) for kind in SOURCES[:2]]
    kinds.append((0.3, [row.text for row in own_rows(MIX, SEED)]))
    kinds += [(0.08, texts) for texts in unlabelled_texts(data / "unlabelled").values()]
    new = choose(content, pieces, kinds)
    network, _ = load_network(start)
    embeddings = load_network(source)[0].model.get_input_embeddings().weight.data
    tokenizer = exchange(network.model, embeddings, content, pieces, new)
    with new_stage(folder) as partial:
        write_tokenizer(partial, tokenizer)
        save_network(network, partial, partial, both_heads=False)


def _rows(data: Path, anchors: Path, mix: Mix, seed: int) -> list[Row]:
    answers = np.load(anchors / "answers.npy")
    anchored = _anchors(data)
    learnt = np.flatnonzero(~guards(anchored))
    return refining_rows(data, [anchored[i] for i in learnt], answers[learnt], mix, seed)


def make_refined(data: Path, start: Path, anchors: Path, folder: Path) -> None:
    """Train the network in ``start`` on :func:`refining_rows`."""
    network, tokenizer = load_network(start)
    train_stage(network, tokenizer, _rows(data, anchors, MIX, SEED), REFINING, start, folder)


def make_settled(data: Path, start: Path, anchors: Path, folder: Path) -> None:
    """Train the network in ``start`` once more, on rows that are filled anew, until it rests."""
    network, tokenizer = load_network(start)
    rows = _rows(data, anchors, SETTLING_MIX, SEED + 1)
    train_stage(network, tokenizer, rows, SETTLING, start, folder, both_heads=False)


def make_polished(data: Path, start: Path, anchors: Path, folder: Path) -> None:
    """Train the network in ``start`` on a part of rows that are filled anew, with plain news."""
    network, tokenizer = load_network(start)
    rows = _rows(data, anchors, POLISHING_MIX, SEED + 2)
    random.Random(SEED).shuffle(rows)
    rows.sort(key=lambda row: row.kind != PLAIN)  # these first
    train_stage(network, tokenizer, rows[:POLISHED], POLISHING, start, folder, both_heads=False)


def mixed(one: TwoHeads, other: TwoHeads, share: float) -> dict[str, torch.Tensor]:
    """The weights between two networks (arXiv 2109.01903): ``share`` of them is ``other``'s."""
    others = other.state_dict()
    return {
        name: torch.lerp(value, others[name], share) if value.is_floating_point() else value
        for name, value in one.state_dict().items()
    }


def measured(logits: npt.NDArray[Any], rows: list[Row]) -> dict[str, float]:
    """Accuracy, calibration error and loss on each source, and the weighted mean of the losses.

    A loss is the mean negative log-likelihood of the rows' labels, in nats.
    """
    found: dict[str, float] = {}
    for kind in SOURCES:
        chosen = np.array([row.kind == kind for row in rows])
        labels = np.array([row.label for row in rows if row.kind == kind], dtype=np.int64)
        found[f"accuracy_{kind}"] = accuracy(logits[chosen], labels)
        found[f"ece_{kind}"] = calibration_error(softmax(logits[chosen]), labels)
        found[f"loss_{kind}"] = negative_log_likelihood(logits[chosen], labels)
    mean = sum(WEIGHTS[kind] * found[f"loss_{kind}"] for kind in SOURCES) / sum(WEIGHTS.values())
    return {**found, "loss": mean}


def guard_measured(logits: npt.NDArray[Any], reference: npt.NDArray[Any]) -> dict[str, float]:
    """How far the answers to unlabelled texts are from those of the starting model.

    *Shape:* ``(rows, labels)`` both; ``reference`` are probabilities.

    Returns:
        The share of equal labels, and the mean Kullback-Leibler divergence in nats.
    """
    same = logits.argmax(axis=-1) == reference.argmax(axis=-1)
    return {
        "same_label": float(same.mean()),
        "divergence": divergence(reference, softmax(logits)),
    }


def _weights(rows: list[Row]) -> npt.NDArray[np.float64]:
    """The weight of each row, under which the sources count as :data:`WEIGHTS` says."""
    counts = {kind: sum(row.kind == kind for row in rows) for kind in SOURCES}
    return np.array([WEIGHTS[row.kind] / counts[row.kind] for row in rows])


def calibrate(
    data: Path, source: Path, anchors: Path, start: Path, polished: Path, folder: Path
) -> dict[str, Any]:
    """Choose the share of the refined weights, fit temperature and bias, and write them folded in.

    All are chosen on the rows held back. Temperature and bias are those under which the labels of
    tweets, answers of FinBERT, open wordings of the cases held back and sentences of the voices are
    most likely. The share is the one with the smallest sum of their weighted loss and of
    :data:`GUARD_WEIGHT` times the divergence from the starting model's answers to the unlabelled
    texts that are held back, both in nats.

    Args:
        data: the folder of the public sets.
        source: the folder of the weights that the refining began with.
        anchors: the folder of :func:`make_anchors`.
        start: the folder of :func:`make_lexicon`.
        polished: the folder of :func:`make_polished`, which has the refined weights.
        folder: the folder to write, a Hugging Face checkpoint with ``calibration.json``.

    Returns:
        What was measured: the content of ``calibration.json``.
    """
    rows = [*rows_of(data)[1], *held_cases(), *held_wordings()]
    anchored = _anchors(data)
    guarded = np.flatnonzero(guards(anchored))
    reference = np.load(anchors / "answers.npy")[guarded]
    texts = [*(row.text for row in rows), *(anchored[i].text for i in guarded)]
    labels = np.array([row.label for row in rows], dtype=np.int64)
    (one, tokenizer), (between, _) = load_network(start), load_network(start)
    other, _ = load_network(polished)
    weights = _weights(rows)
    found: dict[str, Any] = {}
    fitted = {}
    for share in SHARES:
        between.load_state_dict(mixed(one, other, share))
        every = predict_logits(between, tokenizer, texts)[:, 0].astype(np.float64)
        logits, guard = every[: len(rows)], every[len(rows) :]
        temperature, bias = fit_scaling(logits, labels, weights)
        fitted[share] = temperature, bias
        found[f"{share:.1f}"] = {
            "before": measured(logits, rows),
            "after": measured(logits / temperature + bias, rows),
            "guard": guard_measured(guard / temperature + bias, reference),
        }

    def cost(share: float) -> float:
        one = found[f"{share:.1f}"]
        return float(one["after"]["loss"] + GUARD_WEIGHT * one["guard"]["divergence"])

    best = min(SHARES, key=cost)
    temperature, bias = fitted[best]
    between.load_state_dict(mixed(one, other, best))
    fold_temperature(between.model, temperature)
    fold_bias(between.model, bias)
    result = {
        "source": json.loads((source / SOURCE).read_text(encoding="utf-8")),
        "shares": found,
        "share": best,
        "temperature": temperature,
        "bias": dict(zip(LABELS, bias.tolist(), strict=True)),
        "rows": {kind: sum(row.kind == kind for row in rows) for kind in SOURCES},
        "guards": len(guarded),
    }
    with new_stage(folder) as partial:
        save_network(between, start, partial, both_heads=False)
        with (partial / "calibration.json").open("w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    return result
