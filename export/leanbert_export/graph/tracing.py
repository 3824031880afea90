"""Trace the checkpoint in PyTorch to an fp32 graph, with Optimum."""

from __future__ import annotations

from pathlib import Path

from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.errors import CheckpointError, first_line
from leanbert_export.graph.operators import TRACED_OPSET
from leanbert_export.quiet import quiet


def export_fp32(checkpoint: Checkpoint, folder: Path) -> Path:
    """Trace the checkpoint to ``folder``, which gets ``model.onnx`` and the tokenizer's files.

    Returns:
        The path of the graph.

    Raises:
        CheckpointError: transformers or Optimum cannot load or trace the checkpoint.
    """
    from optimum.exporters.onnx import main_export

    _allow(checkpoint)
    with quiet():
        try:
            main_export(
                str(checkpoint.path),
                folder,
                task=checkpoint.task,
                opset=TRACED_OPSET,
                do_validation=False,  # `proof` compares more, and on real texts
                library_name="transformers",
                trust_remote_code=False,
            )
        except Exception as error:  # what the three libraries raise has no common base
            raise CheckpointError(
                f"{checkpoint.path}: cannot be exported "
                f"({type(error).__name__}: {first_line(error)})"
            ) from error
    return folder / "model.onnx"


def _allow(checkpoint: Checkpoint) -> None:
    """Register ModernBERT's question answering, which Optimum 2.1 does not know yet."""
    from optimum.exporters.onnx.model_configs import ModernBertOnnxConfig
    from optimum.exporters.tasks import TasksManager

    if (checkpoint.config.model_type, checkpoint.task) == ("modernbert", "question-answering"):
        register = TasksManager.create_register("onnx", overwrite_existing=True)
        register("modernbert", checkpoint.task)(ModernBertOnnxConfig)
