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


def task_of(architectures: object) -> str | None:
    """The task of the first known class among a config's ``architectures``; ``None`` without one.

    Args:
        architectures: the value in ``config.json``: a list of names, or anything else.
    """
    for name in architectures if isinstance(architectures, list) else ():
        for task, head in HEAD_OF_TASK.items():
            if isinstance(name, str) and name.endswith(head):
                return task
    return None
