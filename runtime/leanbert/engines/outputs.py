"""What an engine gives back: arrays by the names of the graph's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["ModelOutputs", "joined", "task_output"]

ModelOutputs: TypeAlias = "dict[str, npt.NDArray[np.float32]]"
"""The graph's outputs by name: ``logits``, ``last_hidden_state``, …

*Shape:* one row per text ``(texts, …)``, or one row per token, text after text, ``(tokens, …)``.
"""


def joined(parts: Sequence[ModelOutputs]) -> ModelOutputs:
    """The outputs of several batches as those of one.

    *Shape:* each array is concatenated along its first axis.
    """
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def task_output(outputs: ModelOutputs) -> npt.NDArray[np.float32]:
    """The one array that a task's answers are decoded from.

    *Shape:* ``logits`` or ``last_hidden_state`` as they are; ``start_logits`` and ``end_logits``,
    each ``(tokens,)``, as the two columns of ``(tokens, 2)``.
    """
    if "start_logits" in outputs:
        both: npt.NDArray[np.float32] = np.stack(
            [outputs["start_logits"], outputs["end_logits"]], axis=-1
        )
        return both
    return outputs["logits"] if "logits" in outputs else outputs["last_hidden_state"]
