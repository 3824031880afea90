"""Trace a checkpoint with ``torch.onnx.export`` alone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.errors import CheckpointError, first_line
from leanbert_export.graph.operators import TRACED_OPSET
from leanbert_export.quiet import quiet

__all__ = ["export_with_torch"]

_TEXTS = ("one text of some words", "another, which is longer than the first one is, by some")


class _Outputs(torch.nn.Module):
    """A model that gives the outputs of its task as a tuple."""

    def __init__(self, model: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self._model, self._inputs, self._outputs = model, inputs, outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs for the inputs, in the order of both lists of names."""
        found = self._model(**dict(zip(self._inputs, tensors, strict=True)))
        return tuple(getattr(found, name) for name in self._outputs)


def export_with_torch(loaded: LoadedCheckpoint, folder: Path, reason: str) -> Path:
    """Trace the model to ``model.onnx`` in ``folder``.

    Args:
        loaded: the checkpoint.
        folder: is made.
        reason: why the checkpoint is not described, a clause for the message.

    Returns:
        The path of the graph.

    Raises:
        CheckpointError: PyTorch cannot trace the model.
    """
    checkpoint = loaded.checkpoint
    takes = inspect.signature(loaded.model.forward).parameters
    names = ["input_ids", "attention_mask"]
    if loaded.gets_types:
        names.append("token_type_ids")
    inputs = tuple(name for name in names if name in takes)
    outputs = HEADS[checkpoint.task].outputs
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    config = loaded.model.config
    attention = getattr(config, "_attn_implementation", None)
    try:
        with quiet(), torch.inference_mode():
            batch = loaded.tokenizer(list(_TEXTS), padding=True, return_tensors="pt")
            config._attn_implementation = "eager"  # it has no other name
            torch.onnx.export(
                _Outputs(loaded.model, inputs, outputs).eval(),
                tuple(batch.get(name, torch.zeros_like(batch["input_ids"])) for name in inputs),
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=_axes(inputs, outputs, per_token=HEADS[checkpoint.task].per_token),
                opset_version=TRACED_OPSET,
                dynamo=False,
            )
    except Exception as error:  # what torch and transformers raise has no common base
        raise CheckpointError(
            f"{checkpoint.path}: {reason}, and PyTorch cannot trace it ({type(error).__name__}: "
            f"{first_line(error)}); with pip install 'leanbert[export-optimum]' Optimum tries"
        ) from error
    finally:
        config._attn_implementation = attention
    return path


def _axes(
    inputs: Sequence[str], outputs: Sequence[str], *, per_token: bool
) -> dict[str, dict[int, str]]:
    """The axes of each tensor that differ from run to run."""
    both = {0: "batch_size", 1: "sequence_length"}
    return dict.fromkeys(inputs, both) | dict.fromkeys(outputs, both if per_token else {0: both[0]})
