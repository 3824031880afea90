"""Labels that cannot lie: what a checkpoint's config says of them, checked before it is kept."""

from __future__ import annotations

import re
import warnings
from typing import Any

from leanbert.errors import LeanBertWarning
from leanbert_export.checkpoint import Checkpoint
from leanbert_export.errors import CheckpointError

_LABELLED = frozenset({"text-classification", "token-classification"})
_NUMBERED = re.compile(r"LABEL_\d+\Z")


def check_labels(checkpoint: Checkpoint) -> dict[str, Any]:
    """The card's line on the labels' order; warns where their names say nothing.

    That their number is the weights' is seen when PyTorch loads them, and by the engine once more.

    Raises:
        CheckpointError: ``id2label`` and ``label2id`` contradict each other.
    """
    if checkpoint.task not in _LABELLED:
        return {}
    names, where = checkpoint.config.id2label, checkpoint.path / "config.json"
    for name, number in (checkpoint.config.raw.get("label2id") or {}).items():
        told = names.get(number)
        if told is not None and told != name and not _NUMBERED.match(str(name)):
            raise CheckpointError(
                f"{where}: id2label calls label {number} {told!r}, label2id {name!r}; "
                "correct the one that is wrong"
            )
    order = ", ".join(f"{number} {name}" for number, name in names.items())
    if len(names) > 1 and all(_NUMBERED.match(name) for name in names.values()):
        warnings.warn(
            f"{where}: its labels have numbers for names ({order}); answers will say no more: give "
            "them names in id2label",
            LeanBertWarning,
            stacklevel=2,
        )
        order += " (numbers for names: the checkpoint says no more)"
    return {"labels": order}
