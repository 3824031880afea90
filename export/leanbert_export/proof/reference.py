"""What PyTorch's fp32 model answers: the truth that every bundle is measured against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from leanbert.engines import Batch
from leanbert.engines.outputs import task_output
from leanbert.engines.padding import pad, strip
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.loading import LoadedCheckpoint


class TorchReference:
    """A checkpoint in PyTorch, given what transformers' pipeline would give it.

    Args:
        loaded: the model, and the tokenizer, which decides whether the model gets
            ``token_type_ids``.
    """

    def __init__(self, loaded: LoadedCheckpoint) -> None:
        self._model = loaded.model
        self._pad_token_id = getattr(self._model.config, "pad_token_id", None) or 0
        self.task = loaded.checkpoint.task
        self._outputs = HEADS[self.task].outputs
        self.per_token = HEADS[self.task].per_token
        self._inputs = {"input_ids", "attention_mask"}
        if loaded.reads_types and "token_type_ids" in loaded.tokenizer.model_input_names:
            self._inputs.add("token_type_ids")

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """The task's output for one batch, as :func:`leanbert.engines.outputs.task_output`.

        *Shape:* ``(texts, labels)`` or ``(tokens, width)``.
        """
        padded = pad(batch, self._pad_token_id)
        tensors = {n: torch.from_numpy(array) for n, array in padded.items() if n in self._inputs}
        with torch.inference_mode():
            found = self._model(**tensors)
        outputs = {name: getattr(found, name).numpy() for name in self._outputs}
        if self.per_token:
            outputs = {name: strip(array, batch) for name, array in outputs.items()}
        return task_output(outputs)
