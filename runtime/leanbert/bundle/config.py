"""What LeanBERT needs to know from a Hugging Face ``config.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanbert.errors import BundleCorruptError

PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")

# The part of an architecture's name that tells its head (transformers' naming of classes).
_TASK_OF_HEAD = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "Model": "feature-extraction",
}

# These families number positions from pad_token_id + 1 (transformers, modeling_roberta.py,
# create_position_ids_from_input_ids), so that many rows of the table hold no token.
_OFFSET_POSITIONS = frozenset(
    {"camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm"}
)


@dataclass(frozen=True)
class ModelConfig:
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
    function_to_apply: str | None = None
    """The checkpoint's own default for ``function_to_apply``, where it has one."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
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
        for architecture in map(str, self.raw.get("architectures") or []):
            for suffix, task in _TASK_OF_HEAD.items():
                if architecture.endswith(suffix):
                    return task
        return None

    @property
    def num_labels(self) -> int:
        """How many logits a classification head gives."""
        return len(self.id2label)


def parse_config(raw: Mapping[str, Any], where: Path) -> ModelConfig:
    """Read ``raw``, the content of the config at ``where``.

    Raises:
        BundleCorruptError: a key is missing, or its value makes no sense.
    """
    model_type = raw.get("model_type")
    if not isinstance(model_type, str):
        raise BundleCorruptError(f"{where}: no model_type; this is not a Hugging Face config")
    problem_type = raw.get("problem_type")
    if problem_type is not None and problem_type not in PROBLEM_TYPES:
        raise BundleCorruptError(
            f"{where}: problem_type is {problem_type!r}; expected one of {', '.join(PROBLEM_TYPES)}"
        )
    pad_token_id = raw.get("pad_token_id")
    if pad_token_id is None:
        pad_token_id = 0
    if not isinstance(pad_token_id, int) or pad_token_id < 0:
        raise BundleCorruptError(f"{where}: pad_token_id is {pad_token_id!r}; expected a number")
    positions = raw.get("max_position_embeddings")
    if isinstance(positions, int) and model_type in _OFFSET_POSITIONS:
        positions -= (1 if raw.get("pad_token_id") is None else pad_token_id) + 1
    function = raw.get("function_to_apply")
    return ModelConfig(
        model_type=model_type,
        id2label=_parse_labels(raw, where),
        problem_type=problem_type,
        max_tokens=positions if isinstance(positions, int) and positions > 0 else None,
        pad_token_id=pad_token_id,
        function_to_apply=function if isinstance(function, str) else None,
        raw=raw,
    )


def _parse_labels(raw: Mapping[str, Any], where: Path) -> dict[int, str]:
    """``id2label`` with integer keys in order; Hugging Face's default is two numbered labels."""
    labels = raw.get("id2label")
    if labels is None:
        number = raw.get("num_labels", 2)
        if not isinstance(number, int) or number < 0:
            raise BundleCorruptError(f"{where}: num_labels is {number!r}; expected a number")
        return {i: f"LABEL_{i}" for i in range(number)}
    try:
        by_id = {int(key): str(label) for key, label in labels.items()}
    except (AttributeError, ValueError) as error:
        raise BundleCorruptError(f"{where}: id2label must map numbers to names") from error
    if sorted(by_id) != list(range(len(by_id))):
        raise BundleCorruptError(
            f"{where}: id2label must name the logits 0 to {len(by_id) - 1}; it has {sorted(by_id)}"
        )
    return dict(sorted(by_id.items()))


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        BundleCorruptError: the file is not a JSON object in UTF-8.
    """
    return parse_json(read_file(path), path)


def read_file(path: Path) -> bytes:
    """The bytes of a file of the bundle.

    Raises:
        BundleCorruptError: it cannot be read, as where a directory took its place.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleCorruptError(f"{path}: {error.strerror}; export it again") from error


def parse_json(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in ``data``, the content of ``path``.

    Raises:
        BundleCorruptError: it is not a JSON object in UTF-8.
    """
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or absurdly deep
        raise BundleCorruptError(f"{path}: not valid JSON ({error}); export it again") from error
    if not isinstance(content, dict):
        raise BundleCorruptError(f"{path}: not a JSON object; export it again")
    return content
