"""Documents longer than the model: their parts' scores, and what these say together.

A part is a sentence (:mod:`leanbert.tokenization.sentences`) or a window of tokens
(:mod:`leanbert.tokenization.segments`); each knows where in the document it stands. The sentiment
of a document is that of ProsusAI/finBERT (``finbert/finbert.py``, ``predict``): for a sentence
``P(positive) - P(negative)``, for a document the mean over its sentences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leanbert.numerics import Floats
from leanbert.pipelines.answers import ScoredDocument, ScoredPart, ScoredText
from leanbert.tokenization import Segments

__all__ = [
    "COMBINE",
    "SPLITS",
    "Span",
    "combine_scores",
    "document_answer",
    "sentiment_score",
    "window_spans",
]

COMBINE = ("mean", "max", "length")
"""How the scores of parts become those of the document."""

SPLITS = ("sentences", "windows")
"""What the parts of a document are."""

Span = tuple[int, int]


def combine_scores(scores: Floats, lengths: Sequence[int], how: str) -> Floats:
    """The document's scores.

    Args:
        scores: of each part.
        lengths: how much each part weighs under ``"length"``.
        how: ``"mean"`` of each label's scores, their ``"max"``, which need not sum to 1, or the
            mean weighted by ``"length"``.

    *Shape:* ``(parts, labels)`` -> ``(labels,)``.
    """
    result: Floats
    if how == "max":
        result = scores.max(axis=0)
    elif how == "length" and any(lengths):
        result = np.average(scores, axis=0, weights=lengths).astype(np.float32)
    else:
        result = scores.mean(axis=0)
    return result


def sentiment_score(labels: Sequence[str], scores: Floats) -> float | None:
    """``P(positive) - P(negative)`` by the labels' names, whatever their order and case.

    ``None`` for a model without these two labels. *Shape:* scores ``(labels,)``.
    """
    names = [label.lower() for label in labels]
    if names.count("positive") != 1 or names.count("negative") != 1:
        return None
    return float(scores[names.index("positive")] - scores[names.index("negative")])


def window_spans(segments: Segments, own: range) -> tuple[list[Span], list[int]]:
    """First character and the one after the last of each window, and its tokens of text."""
    spans = []
    lengths = []
    for i in own:
        place = segments.place(i)
        offsets = segments.offsets[place][~segments.special_tokens_mask[place]]
        lengths.append(len(offsets))
        span = (int(offsets[:, 0].min()), int(offsets[:, 1].max())) if len(offsets) else (0, 0)
        spans.append(span)
    return spans, lengths


def document_answer(
    text: str,
    labels: Sequence[str],
    spans: Sequence[Span],
    lengths: Sequence[int],
    scores: Floats,
    *,
    split: str,
    combine: str,
) -> ScoredDocument:
    """One document's answer: its label and scores, and those of each part.

    *Shape:* scores ``(parts, labels)``.
    """
    whole = _scored(labels, combine_scores(scores, lengths, combine))
    parts: list[ScoredPart] = [
        {"text": text[start:end], "start": start, "end": end, **_scored(labels, row)}
        for (start, end), row in zip(spans, scores, strict=True)
    ]
    sentiments = [part["sentiment_score"] for part in parts if part["sentiment_score"] is not None]
    if sentiments:  # all parts have one, or none has
        whole["sentiment_score"] = sum(sentiments) / len(sentiments)
    return {**whole, "sentences": parts} if split == "sentences" else {**whole, "windows": parts}


def _scored(labels: Sequence[str], scores: Floats) -> ScoredText:
    best = int(scores.argmax())
    return {
        "label": labels[best],
        "score": float(scores[best]),
        "scores": {label: float(value) for label, value in zip(labels, scores, strict=True)},
        "sentiment_score": sentiment_score(labels, scores),
    }
