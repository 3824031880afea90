"""What PyTorch's fp32 model answers: the truth that every bundle is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from leanbert.tokenization import ModelInputs
from leanbert.verification import task_output
from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import CheckpointError, first_line
from leanbert_export.quiet import quiet


class TorchReference:
    """The checkpoint in PyTorch, fp32, in evaluation mode.

    Raises:
        CheckpointError: transformers cannot load it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        head = HEADS[checkpoint.task]
        with quiet():
            try:
                self._model = getattr(transformers, head.auto_model).from_pretrained(
                    checkpoint.path, dtype=torch.float32, trust_remote_code=False
                )
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                raise CheckpointError(
                    f"{checkpoint.path}: transformers cannot load it ({first_line(error)})"
                ) from error
        self._model.eval()
        self.task = checkpoint.task
        self._outputs = head.outputs

    def run(self, inputs: ModelInputs) -> npt.NDArray[np.float32]:
        """The task's output for one padded batch, as :func:`leanbert.verification.task_output`.

        *Shape:* ``(batch_size, seq_len)`` -> ``(batch_size, labels)`` or
        ``(batch_size, seq_len, width)``.
        """
        tensors: dict[str, Any] = {
            name: torch.from_numpy(array)
            for name, array in inputs.items()
            if name != "token_type_ids" or getattr(self._model.config, "type_vocab_size", 0) > 1
        }
        with torch.inference_mode():
            found = self._model(**tensors)
        return task_output({name: getattr(found, name).numpy() for name in self._outputs})
