"""Which task a checkpoint's head is for, by transformers' names of model classes."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HEAD_OF_TASK", "task_of"]

HEAD_OF_TASK: Mapping[str, str] = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "fill-mask": "ForMaskedLM",
    "feature-extraction": "Model",
}
"""How the name of a task's model class ends, for example ``BertForMaskedLM``."""

# The names of XLM's and FlauBERT's heads, and of heads that are no encoder's.
_ODD_HEADS: Mapping[str, str | None] = {
    "WithLMHeadModel": "fill-mask",
    "ForQuestionAnsweringSimple": "question-answering",
    "LMHeadModel": None,
    "DoubleHeadsModel": None,
}


def task_of(architectures: object) -> str | None:
    """The task of the first known class among a config's ``architectures``; ``None`` without one.

    Args:
        architectures: the value in ``config.json``: a list of names, or anything else.
    """
    for name in architectures if isinstance(architectures, list) else ():
        found = _task_of(name) if isinstance(name, str) else None
        if found is not None:
            return found
    return None


def _task_of(name: str) -> str | None:
    for ending, odd in _ODD_HEADS.items():
        if name.endswith(ending):
            return odd
    return next((task for task, head in HEAD_OF_TASK.items() if name.endswith(head)), None)
