"""Trace a checkpoint in PyTorch to an fp32 graph, with Optimum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.errors import CheckpointError, first_line
from leanbert_export.graph.operators import TRACED_OPSET
from leanbert_export.quiet import quiet

__all__ = ["export_fp32"]


def export_fp32(loaded: LoadedCheckpoint, folder: Path) -> Path:
    """Trace the model to ``model.onnx`` in ``folder``.

    Returns:
        The path of the graph.

    Raises:
        CheckpointError: Optimum does not know the architecture, or cannot trace it.
    """
    from optimum.exporters.onnx import onnx_export_from_model

    checkpoint = loaded.checkpoint
    _register(checkpoint)
    _check_support(checkpoint)
    with quiet():
        try:
            onnx_export_from_model(
                loaded.model,
                folder,
                task=checkpoint.task,
                opset=TRACED_OPSET,
                do_validation=False,  # `proof` compares more, and on real texts
                preprocessors=[loaded.tokenizer],
                custom_onnx_configs=_without_types(loaded),
                device="cpu",
            )
        except Exception as error:  # what the three libraries raise has no common base
            raise CheckpointError(
                f"{checkpoint.path}: cannot be exported "
                f"({type(error).__name__}: {first_line(error)})"
            ) from error
    return folder / "model.onnx"


def _register(checkpoint: Checkpoint) -> None:
    """Register ModernBERT's question answering, which Optimum 2.1 does not know yet."""
    from optimum.exporters.onnx.model_configs import ModernBertOnnxConfig
    from optimum.exporters.tasks import TasksManager

    if (checkpoint.config.model_type, checkpoint.task) == ("modernbert", "question-answering"):
        register = TasksManager.create_register("onnx", overwrite_existing=True)
        register("modernbert", checkpoint.task)(ModernBertOnnxConfig)


def _check_support(checkpoint: Checkpoint) -> None:
    from optimum.exporters.tasks import TasksManager

    family = checkpoint.config.model_type
    try:
        tasks = TasksManager.get_supported_tasks_for_model_type(
            family, "onnx", library_name="transformers"
        )
    except KeyError as error:
        raise CheckpointError(
            f"{checkpoint.path}: Optimum, which traces checkpoints, does not know the "
            f"architecture {family}"
        ) from error
    if checkpoint.task not in tasks:
        raise CheckpointError(
            f"{checkpoint.path}: Optimum, which traces checkpoints, does not know {family} for "
            f"{checkpoint.task}; it knows {', '.join(tasks)}"
        )


def _without_types(loaded: LoadedCheckpoint) -> dict[str, Any] | None:
    """Leave ``token_type_ids`` out of the graph where all tokens have one type.

    Optimum would trace with two types, the second of which such a model has no row for.
    """
    from optimum.exporters.tasks import TasksManager

    if getattr(loaded.model.config, "type_vocab_size", None) != 1:
        return None
    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model=loaded.model, task=loaded.checkpoint.task, library_name="transformers"
    )
    usual = constructor(loaded.model.config)
    if "token_type_ids" not in usual.inputs:
        return None

    def inputs(_: object) -> dict[str, Any]:
        return {name: axes for name, axes in usual.inputs.items() if name != "token_type_ids"}

    changed = type("OneTypeOnnxConfig", (type(usual),), {"inputs": property(inputs)})
    return {"model": changed(loaded.model.config, task=loaded.checkpoint.task)}
