"""What PyTorch's fp32 model answers: the truth that every bundle is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.overrides import TorchFunctionMode

from leanbert.engines import Batch
from leanbert.engines.outputs import task_output
from leanbert.engines.padding import pad, strip
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.loading import LoadedCheckpoint

_SMALL = 1 << 20  # bytes of an output that is remembered


class _AllDouble(TorchFunctionMode):
    """Within, what asks for float32 gets float64: some models compute their softmax in float32."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.float:
            return args[0].double()
        wanted = {torch.float32: torch.float64}
        args = [wanted.get(arg, arg) if isinstance(arg, torch.dtype) else arg for arg in args]
        named = {
            name: wanted.get(value, value) if isinstance(value, torch.dtype) else value
            for name, value in (kwargs or {}).items()
        }
        return func(*args, **named)


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
        self._known: dict[bytes, npt.NDArray[np.float32]] = {}
        self._inputs = {"input_ids", "attention_mask"}
        if loaded.gets_types:
            self._inputs.add("token_type_ids")

    def run_exact(self, batch: Batch) -> list[npt.NDArray[np.float64]]:
        """The task's output and the last hidden states in float64, where rounding hides nothing.

        *Shape:* ``(texts, labels)`` or ``(tokens, width)``, and ``(tokens, hidden size)``. The
        second is left out for models that do not show their hidden states.
        """
        padded = pad(batch, self._pad_token_id)
        tensors = {n: torch.from_numpy(array) for n, array in padded.items() if n in self._inputs}
        self._model.double()
        try:
            with torch.inference_mode(), _AllDouble():
                found = self._model(**tensors, output_hidden_states=True)
        finally:
            self._model.float()  # every float32 is a float64, so nothing is lost
        outputs = [getattr(found, name).numpy() for name in self._outputs]
        if self.per_token:
            outputs = [strip(array, batch) for array in outputs]
        hidden = getattr(found, "hidden_states", None)
        if hidden and hidden[-1].shape[:2] == padded["input_ids"].shape:
            outputs.append(strip(hidden[-1].numpy(), batch))
        return outputs

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """The task's output for one batch, as :func:`leanbert.engines.outputs.task_output`.

        What was small enough is remembered: the gate and the evidence ask for the same batches.

        *Shape:* ``(texts, labels)`` or ``(tokens, width)``.
        """
        parts = (batch.lengths, batch.input_ids, batch.token_type_ids)
        key = b"|".join(np.ascontiguousarray(part).tobytes() for part in parts)
        if key not in self._known:
            output = self._run(batch)
            if output.nbytes > _SMALL:
                return output
            self._known[key] = output
        return np.array(self._known[key])

    def _run(self, batch: Batch) -> npt.NDArray[np.float32]:
        padded = pad(batch, self._pad_token_id)
        tensors = {n: torch.from_numpy(array) for n, array in padded.items() if n in self._inputs}
        with torch.inference_mode():
            found = self._model(**tensors)
        outputs = {name: getattr(found, name).numpy() for name in self._outputs}
        if self.per_token:
            outputs = {name: strip(array, batch) for name, array in outputs.items()}
        return task_output(outputs)
