"""What LeanBERT needs to know from a Hugging Face ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from leanbert.bundle.heads import task_of
from leanbert.bundle.manifest import LONGEST
from leanbert.bundle.values import WrongValueError, brief, is_whole, mapping, whole
from leanbert.errors import BundleCorruptError

__all__ = ["PROBLEM_TYPES", "ModelConfig", "parse_config"]

PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")

_MOST_LABELS = 1 << 20  # as the native engine takes
_MOST_ID = (1 << 31) - 1  # token ids are int32

# These families number positions from pad_token_id + 1 (transformers, modeling_roberta.py,
# create_position_ids_from_input_ids), so that the rows up to there hold no token's position.
_OFFSET_POSITIONS = frozenset(
    {"camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm"}
)


class ModelConfig(NamedTuple):
    """The part of a checkpoint's configuration that answers depend on."""

    model_type: str
    """The family, for example ``"bert"``."""
    id2label: Mapping[int, str]
    """Name of each logit; empty for models without a classification head."""
    problem_type: str | None
    """One of :data:`PROBLEM_TYPES`, or ``None`` to infer it from the number of labels."""
    max_tokens: int | None
    """Longest input in tokens, special tokens included; ``None`` if the family sets no bound."""
    pad_token_id: int = 0
    """The id that fills short rows of a batch."""
    first_position: int = 0
    """The number of the first token's position, for graphs that ask for ``position_ids``."""
    function_to_apply: str | None = None
    """The checkpoint's own default for ``function_to_apply``, where it has one."""
    raw: Mapping[str, Any] = MappingProxyType({})
    """All keys as they stand in the file."""

    @property
    def default_function(self) -> str:
        """What turns logits into scores: ``"softmax"``, ``"sigmoid"`` or ``"none"``.

        As in transformers 4.57, pipelines/text_classification.py, ``postprocess``.
        """
        if self.problem_type == "regression":
            return "none"
        if self.problem_type == "multi_label_classification" or self.num_labels == 1:
            return "sigmoid"
        if self.problem_type == "single_label_classification" or self.num_labels > 1:
            return "softmax"
        return self.function_to_apply or "none"

    @property
    def head_task(self) -> str | None:
        """The task of the checkpoint's head by ``architectures``; ``None`` for an unknown one."""
        return task_of(self.raw.get("architectures"))

    @property
    def num_labels(self) -> int:
        """How many logits a classification head gives."""
        return len(self.id2label)

    @property
    def labels_in_order(self) -> str:
        """The labels in the order of the logits, for example ``"0 positive, 1 negative"``.

        The export writes this line into a bundle's card, and ``verify`` compares it again.
        """
        return ", ".join(f"{number} {name}" for number, name in self.id2label.items())


def parse_config(raw: Mapping[str, Any], where: Path) -> ModelConfig:
    """Read ``raw``, the content of the config at ``where``.

    Raises:
        BundleCorruptError: a key is missing, or its value makes no sense.
    """
    try:
        return _parse(raw)
    except WrongValueError as error:
        raise BundleCorruptError(f"{where}: {error}") from error


def _parse(raw: Mapping[str, Any]) -> ModelConfig:
    model_type = raw.get("model_type")
    if not isinstance(model_type, str):
        raise WrongValueError("no model_type; this is not a Hugging Face config")
    problem_type = raw.get("problem_type")
    if problem_type is not None and problem_type not in PROBLEM_TYPES:
        raise WrongValueError(
            f"problem_type is {brief(problem_type)}; expected one of {', '.join(PROBLEM_TYPES)}"
        )
    pad = raw.get("pad_token_id")
    pad_token_id = 0 if pad is None else whole("pad_token_id", pad, 0, _MOST_ID)
    first_position = 0
    if model_type in _OFFSET_POSITIONS:
        first_position = (1 if pad is None else pad_token_id) + 1
    function = raw.get("function_to_apply")
    return ModelConfig(
        model_type=model_type,
        id2label=_parse_labels(raw),
        problem_type=problem_type,
        max_tokens=_max_tokens(raw.get("max_position_embeddings"), first_position),
        pad_token_id=pad_token_id,
        first_position=first_position,
        function_to_apply=function if isinstance(function, str) else None,
        raw=raw,
    )


def _max_tokens(positions: object, first_position: int) -> int | None:
    """The rows of the table of positions that tokens use; 0, -1 and ``None`` mean no bound."""
    if positions is None or (is_whole(positions) and positions <= 0):
        return None
    rows = whole("max_position_embeddings", positions, 1, LONGEST)
    return max(0, rows - first_position) or None


def _parse_labels(raw: Mapping[str, Any]) -> dict[int, str]:
    """``id2label`` with integer keys in order; Hugging Face's default is two numbered labels."""
    labels = raw.get("id2label")
    if labels is None:
        count = whole("num_labels", raw.get("num_labels", 2), 0, _MOST_LABELS)
        return {i: f"LABEL_{i}" for i in range(count)}
    if len(mapping("id2label", labels)) > _MOST_LABELS:
        raise WrongValueError(
            f"id2label has {len(labels):,} labels; expected at most {_MOST_LABELS:,}"
        )
    by_id: dict[int, str] = {}
    for key, label in labels.items():
        try:
            number = int(key)
        except ValueError:
            raise WrongValueError(f"id2label has the key {brief(key)}; expected a number") from None
        if isinstance(label, (dict, list)):
            raise WrongValueError(f"id2label.{number} is {brief(label)}; expected a name")
        by_id[number] = str(label)
    if sorted(by_id) != list(range(len(labels))):
        raise WrongValueError(
            f"id2label must name each of the logits 0 to {len(labels) - 1} once; it has the keys "
            f"{brief(', '.join(map(str, labels)))}"
        )
    return dict(sorted(by_id.items()))
