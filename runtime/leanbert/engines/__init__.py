"""Who computes: from padded token ids to the model's outputs."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from leanbert.arguments import check_count
from leanbert.bundle import Bundle
from leanbert.tokenization import ModelInputs

__all__ = ["Engine", "ModelOutputs", "load_engine"]

ModelOutputs: TypeAlias = "dict[str, npt.NDArray[np.float32]]"
"""The graph's outputs by name: ``logits``, ``last_hidden_state``, …"""


class Engine(Protocol):
    """Computes a bundle's graph. Calls from several threads at once are allowed."""

    name: str
    """As a user names it, for example ``"onnxruntime"``."""
    input_names: frozenset[str]
    output_names: tuple[str, ...]

    def run(self, inputs: ModelInputs) -> ModelOutputs:
        """Compute one padded batch.

        *Shape:* inputs ``(batch_size, seq_len)`` int64 -> outputs ``(batch_size, …)`` float32.
        """


def load_engine(bundle: Bundle, intra_op_num_threads: int | None = None) -> Engine:
    """Load the engine for ``bundle``; ``None`` threads means all cores this process may use.

    Raises:
        InputError: the number of threads makes no sense.
        BundleCorruptError, EngineError: the engine cannot load the graph.
    """
    check_count("threads", intra_op_num_threads, most=1024)
    from leanbert.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, intra_op_num_threads)
