"""The heads that LeanBERT exports: how PyTorch loads them, and what their graphs give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HEADS", "TASK_NAMES", "Head", "canonical_task"]


@dataclass(frozen=True)
class Head:
    """What the export needs to know of a task."""

    task: str
    auto_model: str
    """The class of transformers that loads such a checkpoint of any family."""
    outputs: tuple[str, ...]
    """The outputs of the graph, under Optimum's names."""
    agrees: str
    """What an answer must share with PyTorch's to agree with it: ``"label"``, ``"span"``. Empty if
    answers cannot agree or disagree, as embeddings cannot."""
    per_token: bool
    """Whether the graph gives one row per token, and not one per text."""
    labels: bool = False
    """Whether ``id2label`` names the outputs."""
    batch_tokens: int = 1024
    """Padded tokens that are compared at once. Fewer where every token has a whole vocabulary of
    logits."""
    most_held: int = 4000
    """The most texts that are held back to judge on; the rest of a large file calibrates."""


_ALL = (
    Head(
        "text-classification",
        "AutoModelForSequenceClassification",
        ("logits",),
        "label",
        per_token=False,
        labels=True,
    ),
    Head(
        "token-classification",
        "AutoModelForTokenClassification",
        ("logits",),
        "label per token",
        per_token=True,
        labels=True,
    ),
    Head(
        "question-answering",
        "AutoModelForQuestionAnswering",
        ("start_logits", "end_logits"),
        "span",
        per_token=True,
    ),
    Head(
        "fill-mask",
        "AutoModelForMaskedLM",
        ("logits",),
        "word",
        per_token=True,
        batch_tokens=128,
        most_held=500,
    ),
    Head("feature-extraction", "AutoModel", ("last_hidden_state",), "", per_token=True),
)
HEADS: Mapping[str, Head] = {head.task: head for head in _ALL}

# These tasks are served by the bundles of another: a zero-shot model, for example, is a sentence
# classifier.
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
