"""How good answers are, and how near they are to the reference's; with numpy only.

The expected calibration error is that of Guo et al. 2017 (arXiv:1706.04599) with equal bins of
confidence. Entity F1 follows seqeval (chakki-works/seqeval, its default mode, micro average). Exact
match and F1 of answers follow SQuAD's evaluation (Rajpurkar et al. 2016).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

_BINS = 15
_MOST_FLIPS = 50
_MARGIN = 0.1
"""Between the two best probabilities: a label that is held by more was not a coin toss."""


def accuracy(scores: Floats, labels: Ints) -> float:
    """Return the share of rows whose best label is the true one.

    *Shape:* scores ``(rows, labels)``, labels ``(rows,)``.
    """
    return float((scores.argmax(axis=1) == labels).mean())


def macro_f1(scores: Floats, labels: Ints) -> float:
    """Return the mean of the labels' F1, without labels that are neither true nor answered.

    *Shape:* scores ``(rows, labels)``, labels ``(rows,)``.
    """
    answered = scores.argmax(axis=1)
    found = []
    for label in np.union1d(answered, labels):
        right = int(((answered == label) & (labels == label)).sum())
        total = int((answered == label).sum() + (labels == label).sum())
        found.append(2 * right / total)
    return float(np.mean(found))


def calibration_error(scores: Floats, labels: Ints, bins: int = _BINS) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, bin by bin.

    The bins are equal and open on the left: ``(0, 1/15]``, ``(1/15, 2/15]``, …

    *Shape:* scores ``(rows, labels)``, labels ``(rows,)``.
    """
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    error = 0.0
    for i in range(bins):
        inside = which == i
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += float(inside.mean() * gap)
    return error


def nearness(scores: Floats, reference: Floats) -> dict[str, float]:
    """Return the mean and the largest absolute difference over all rows and columns.

    *Shape:* ``(rows, columns)`` twice.
    """
    difference = np.abs(scores - reference)
    return {"mean_difference": float(difference.mean()), "max_difference": float(difference.max())}


def flips(
    scores: Floats, reference: Floats, texts: Sequence[str], labels: Sequence[str]
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many rows changed their label, and the 50 of them that changed most."""
    ours, theirs = scores.argmax(axis=1), reference.argmax(axis=1)
    changed = [int(i) for i in np.flatnonzero(ours != theirs)]
    difference = np.abs(scores - reference).max(axis=1)
    order = sorted(changed, key=lambda i: -difference[i])[:_MOST_FLIPS]
    listed = [
        {
            "text": texts[i],
            "reference": labels[theirs[i]],
            "answer": labels[ours[i]],
            "difference": float(difference[i]),
        }
        for i in order
    ]
    return len(changed), listed


def held(scores: Floats) -> npt.NDArray[np.bool_]:
    """Tell of each row whether its best label leads the second best by more than 0.1.

    *Shape:* ``(rows, labels)`` -> ``(rows,)``.
    """
    best = np.sort(scores, axis=1)
    found: npt.NDArray[np.bool_] = best[:, -1] - best[:, -2] > _MARGIN
    return found


def cosines(vectors: Floats, others: Floats) -> npt.NDArray[np.float64]:
    """Return the cosine of each row with the same row of ``others``.

    *Shape:* ``(rows, width)`` twice -> ``(rows,)``.
    """
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(others, axis=1)
    found: npt.NDArray[np.float64] = (vectors * others).sum(axis=1) / np.maximum(lengths, 1e-12)
    return found


def batch_changes(alone: Floats, ordered: Floats, shuffled: Floats) -> dict[str, float]:
    """Return the largest change of any text's scores from batch 1, for each arrangement.

    *Shape:* ``(texts, columns)`` three times.
    """
    found = {
        "sorted": float(np.abs(ordered - alone).max()),
        "shuffled": float(np.abs(shuffled - alone).max()),
    }
    return {**found, "largest": max(found.values())}


def spearman(found: Sequence[float], expected: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks."""
    a, b = (_ranks(np.asarray(values, float)) for values in (found, expected))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def _ranks(values: Floats) -> npt.NDArray[np.float64]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle = last - (counts - 1) / 2
    ranks: npt.NDArray[np.float64] = middle[which]
    return ranks


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Return the entities of one sentence's tags: each one's kind, first and last word.

    Tags are read as seqeval's default mode reads IOB2 and its relatives. An entity begins at ``B-``
    or ``S-``, after ``O``, after an entity that ``E-`` or ``S-`` ended, and where the kind changes.
    So ``I-`` alone begins one, too.
    """
    found = set()
    before, kind, begin = "O", "", 0
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        name = name or "_"
        inside = before != "O"
        if inside and (prefix in "BSO" or before in "ES" or name != kind):
            found.add((kind, begin, i - 1))
        if prefix != "O" and (not inside or prefix in "BS" or before in "ES" or name != kind):
            begin = i
        before, kind = prefix, name
    return found


def entity_f1(found: Sequence[Sequence[str]], expected: Sequence[Sequence[str]]) -> float:
    """Return the micro-averaged F1 of whole entities over sentences of tags."""
    right = total = 0
    for ours, theirs in zip(found, expected, strict=True):
        a, b = entities(ours), entities(theirs)
        right += len(a & b)
        total += len(a) + len(b)
    return 2 * right / total if total else 0.0


def normalize_answer(text: str) -> str:
    """Return the text in lower case without punctuation, articles and surplus space, as SQuAD."""
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def exact_match(answer: str, truths: Sequence[str]) -> float:
    """Return 1 if the answer is one of the true ones after normalization, else 0."""
    return float(any(normalize_answer(answer) == normalize_answer(truth) for truth in truths))


def token_f1(answer: str, truths: Sequence[str]) -> float:
    """Return the best F1 of the words that the answer shares with a true one.

    An empty answer matches an empty one only.
    """
    return max((_shared(answer, truth) for truth in truths), default=0.0)


def _shared(answer: str, truth: str) -> float:
    ours, theirs = normalize_answer(answer).split(), normalize_answer(truth).split()
    if not ours or not theirs:
        return float(ours == theirs)
    same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs))
