"""The heads that LeanBERT exports: a task's classes in transformers, and what its graph gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HEADS", "TASK_NAMES", "Head", "canonical_task"]


@dataclass(frozen=True)
class Head:
    """What a task's checkpoints end in."""

    task: str
    auto_model: str
    """transformers' class that loads any family's."""
    outputs: tuple[str, ...]
    """Of the graph, as Optimum names them."""
    agrees: str
    """What must be the same for an answer to agree with PyTorch's; empty where nothing can."""
    batch_tokens: int = 1024
    """Padded tokens that are compared at once: a vocabulary of logits a token is large."""
    most_held: int = 4000
    """Held-back texts that are judged; the rest of a large file calibrates."""


_ALL = (
    Head(
        "text-classification",
        "AutoModelForSequenceClassification",
        ("logits",),
        "label",
    ),
    Head(
        "token-classification",
        "AutoModelForTokenClassification",
        ("logits",),
        "label a token",
    ),
    Head(
        "question-answering",
        "AutoModelForQuestionAnswering",
        ("start_logits", "end_logits"),
        "span",
    ),
    Head(
        "fill-mask",
        "AutoModelForMaskedLM",
        ("logits",),
        "word",
        batch_tokens=128,
        most_held=500,
    ),
    Head("feature-extraction", "AutoModel", ("last_hidden_state",), ""),
)
HEADS: Mapping[str, Head] = {head.task: head for head in _ALL}

# A model for these is a sentence classifier; one bundle serves them all.
_SAME = {
    "sentiment-analysis": "text-classification",
    "zero-shot-classification": "text-classification",
    "text-ranking": "text-classification",
    "ner": "token-classification",
}
TASK_NAMES = (*HEADS, *_SAME)
"""What ``--task`` takes."""


def canonical_task(task: str) -> str | None:
    """The key of :data:`HEADS` for one of transformers' names of tasks; ``None`` if unknown."""
    task = _SAME.get(task, task)
    return task if task in HEADS else None
