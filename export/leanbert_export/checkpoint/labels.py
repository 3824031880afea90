"""Check the names of a checkpoint's labels against each other."""

from __future__ import annotations

import re
from typing import Any

from leanbert.errors import warn
from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import CheckpointError

__all__ = ["check_labels", "labels_in_order", "whole_number"]

_UNNAMED = re.compile(r"LABEL_\d+")


def check_labels(checkpoint: Checkpoint) -> None:
    """Check that ``id2label`` and ``label2id`` say the same; warn of labels without names.

    A single score needs no name. That there are as many labels as outputs is checked where the
    weights are loaded.

    Raises:
        CheckpointError: the two contradict each other.
    """
    if not HEADS[checkpoint.task].labels:
        return
    labels = checkpoint.config.id2label
    _check_both_ways(checkpoint)
    if len(labels) > 1 and all(_UNNAMED.fullmatch(label) for label in labels.values()):
        warn(
            f"{checkpoint.path / 'config.json'}: its labels have no names "
            f"({', '.join(labels.values())}), so answers will say these; write names into id2label"
        )


def labels_in_order(checkpoint: Checkpoint) -> dict[str, Any]:
    """The card's line on the labels, in the order in which the model gives their scores."""
    if not HEADS[checkpoint.task].labels:
        return {}
    return {"labels": checkpoint.config.labels_in_order}


def _check_both_ways(checkpoint: Checkpoint) -> None:
    names, path = checkpoint.config.id2label, checkpoint.path / "config.json"
    numbers = checkpoint.config.raw.get("label2id") or {}
    if not isinstance(numbers, dict):
        raise CheckpointError(f"{path}: label2id must map names to numbers")
    for name, said in numbers.items():
        number = whole_number(said)
        if number is None:
            raise CheckpointError(
                f"{path}: label2id says {said!r} of {name!r}; expected a whole number"
            )
        # transformers writes LABEL_0 where nothing was said, which contradicts nothing.
        if names.get(number) == name or _UNNAMED.fullmatch(str(name)):
            continue
        if number not in names:
            raise CheckpointError(
                f"{path}: label2id says {said!r} of {name!r}, but the labels are numbered from 0 "
                f"to {len(names) - 1}; correct the one that is wrong"
            )
        raise CheckpointError(
            f"{path}: id2label calls label {number} {names[number]!r}, label2id {name!r}; correct "
            "the one that is wrong"
        )


def whole_number(value: object) -> int | None:
    """A whole number, which some files write as a string or as 1.0; ``None`` for others."""
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
