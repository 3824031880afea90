"""Where the fp32 graph of a checkpoint comes from: its description, or else a trace of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from leanbert_export.architectures.describing import describe
from leanbert_export.architectures.description import Encoder
from leanbert_export.architectures.tensors import NotDescribedError
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.graph.encoder import build_graph
from leanbert_export.graph.final import FinalGraph

__all__ = ["GraphSource", "find_source"]


@dataclass(frozen=True)
class GraphSource:
    """Makes the final fp32 graph of one checkpoint, as often as one is needed."""

    build: Callable[[], FinalGraph]
    encoder: Encoder | None
    """The description; ``None`` if the graph is traced."""
    line: str
    """The card's line on which way the graph was made."""


def find_source(loaded: LoadedCheckpoint, scratch: Path) -> GraphSource:
    """Describe a checkpoint, or trace it if it has something that is not described.

    Args:
        loaded: the checkpoint.
        scratch: a folder for the files of a trace.

    Raises:
        CheckpointError: it is not described and cannot be traced.
    """
    try:
        encoder = describe(loaded)
    except NotDescribedError as error:
        reason = str(error)
    else:
        return GraphSource(
            partial(build_graph, encoder),
            encoder,
            f"built from the description of {encoder.family}, {len(encoder.layers)} layers",
        )
    from leanbert_export.tracing.fusion import fuse
    from leanbert_export.tracing.rewriting import final_graph
    from leanbert_export.tracing.tracers import trace

    traced, tracer = trace(loaded, scratch / "traced", reason)
    fused = scratch / "fused.onnx"
    counted = fuse(traced, fused, loaded.checkpoint)
    return GraphSource(partial(final_graph, fused), None, f"traced by {tracer}: {counted}")
