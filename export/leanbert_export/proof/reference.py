"""What PyTorch's fp32 model answers: the truth that every bundle is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from leanbert.engines import Batch
from leanbert.engines.padding import pad, strip
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
        self._pad_token_id = getattr(self._model.config, "pad_token_id", None) or 0
        self.task = checkpoint.task
        self._outputs = head.outputs

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """The task's output for one batch, as :func:`leanbert.verification.task_output`.

        *Shape:* ``(texts, labels)`` or ``(tokens, width)``.
        """
        tensors: dict[str, Any] = {
            name: torch.from_numpy(array)
            for name, array in pad(batch, self._pad_token_id).items()
            if name != "token_type_ids" or getattr(self._model.config, "type_vocab_size", 0) > 1
        }
        with torch.inference_mode():
            found = self._model(**tensors)
        outputs = {name: getattr(found, name).numpy() for name in self._outputs}
        if self.task != "text-classification":
            outputs = {name: strip(array, batch) for name, array in outputs.items()}
        return task_output(outputs)
