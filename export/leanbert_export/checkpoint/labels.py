"""Labels cannot lie: the config's names against the checkpoint's own head."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from leanbert.errors import warn
from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.errors import CheckpointError

__all__ = ["check_labels", "labels_in_order"]

_WITH_LABELS = ("text-classification", "token-classification")
# The last matmul of a classification head in transformers' families: BERT, DistilBERT, ALBERT,
# DeBERTa and ModernBERT; RoBERTa, ELECTRA and MPNet.
_HEAD = re.compile(r"(.*\.)?classifier(\.out_proj)?\.weight")  # not DistilBERT's pre_classifier
_UNNAMED = re.compile(r"LABEL_\d+")


def check_labels(checkpoint: Checkpoint) -> None:
    """Compare ``id2label`` with the number of outputs of the checkpoint's head.

    Warns of labels that have no names (``LABEL_0``), which a single score needs none. Pickled
    weights are not looked into: transformers refuses another number when it loads them.

    Raises:
        CheckpointError: they differ, or there are no weights of a head, whose answers would be
            random, or ``id2label`` and ``label2id`` contradict each other.
    """
    if checkpoint.task not in _WITH_LABELS:
        return
    labels = checkpoint.config.id2label
    _check_both_ways(checkpoint)
    shapes = _shapes(checkpoint.path)
    heads = {name: shape for name, shape in shapes.items() if _HEAD.fullmatch(name)}
    for name, shape in heads.items():
        if shape[0] != len(labels):
            raise CheckpointError(
                f"{checkpoint.path / 'config.json'}: id2label names {len(labels)} labels "
                f"({', '.join(labels.values())}), but {name} gives {shape[0]} outputs; take both "
                "from one checkpoint"
            )
    if shapes and not heads and not any("classif" in name or "score" in name for name in shapes):
        raise CheckpointError(
            f"{checkpoint.path}: has no weights of a head for {checkpoint.task}, so its answers "
            "would be random; fine-tune it first, or pass --task feature-extraction"
        )
    if len(labels) > 1 and all(_UNNAMED.fullmatch(label) for label in labels.values()):
        warn(
            f"{checkpoint.path / 'config.json'}: its labels have no names "
            f"({', '.join(labels.values())}), so answers will say these; write names into id2label"
        )


def labels_in_order(checkpoint: Checkpoint) -> dict[str, Any]:
    """The card's line on the labels: the order in which the model answers."""
    if checkpoint.task not in _WITH_LABELS:
        return {}
    return {"labels": checkpoint.config.labels_in_order}


def _check_both_ways(checkpoint: Checkpoint) -> None:
    names = checkpoint.config.id2label
    for name, number in (checkpoint.config.raw.get("label2id") or {}).items():
        told = names.get(number)
        # What transformers fills in where nothing was said contradicts nothing.
        if told is not None and told != name and not _UNNAMED.fullmatch(str(name)):
            raise CheckpointError(
                f"{checkpoint.path / 'config.json'}: id2label calls label {number} {told!r}, "
                f"label2id {name!r}; correct the one that is wrong"
            )


def _shapes(folder: Path) -> dict[str, list[int]]:
    """The shape of each tensor by its name, read from the headers; none of pickled weights."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, list[int]] = {}
    with suppress(SafetensorError, OSError):  # broken files are reported where they are loaded
        for path in sorted(folder.glob("model*.safetensors")):
            with safe_open(path, framework="np") as file:
                shapes |= {name: file.get_slice(name).get_shape() for name in [*file.keys()]}
    return shapes
