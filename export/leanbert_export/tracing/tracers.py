"""Trace a checkpoint with Optimum where it is installed and can, and else with PyTorch itself."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import torch

from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.tracing import optimum
from leanbert_export.tracing.pytorch import export_with_torch

__all__ = ["optimum_version", "trace"]


def optimum_version() -> str | None:
    """The version of optimum-onnx; ``None`` if it cannot be used beside this transformers."""
    try:
        import optimum.exporters.onnx  # noqa: F401

        return metadata.version("optimum-onnx")
    except (ImportError, AttributeError):  # it is made for one series of transformers
        return None


def trace(loaded: LoadedCheckpoint, folder: Path, reason: str) -> tuple[Path, str]:
    """Trace the model to a graph in ``folder``.

    Args:
        loaded: the checkpoint.
        folder: is made.
        reason: why it is not described, a clause for messages.

    Returns:
        The path of the graph, and the name of what traced it.

    Raises:
        CheckpointError: it cannot be traced.
    """
    version = optimum_version()
    if version is not None:
        return optimum.export_fp32(loaded, folder), f"Optimum {version}"
    return export_with_torch(loaded, folder, reason), f"PyTorch {torch.__version__}"
