"""Who computes: from a ragged batch of token ids to the model's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from leanbert.arguments import check_count
from leanbert.bundle import Bundle
from leanbert.engines.batch import Batch
from leanbert.errors import EngineError, InputError

__all__ = ["ENGINES", "Batch", "Engine", "ModelOutputs", "choose_engine", "load_engine"]

ENGINES = ("auto", "native", "onnxruntime")
"""What a user may ask for."""

ModelOutputs: TypeAlias = "dict[str, npt.NDArray[np.float32]]"
"""The graph's outputs by name: ``logits``, ``last_hidden_state``, …

*Shape:* one row per text ``(texts, …)``, or one row per token, text after text, ``(tokens, …)``.
"""


class Engine(Protocol):
    """Computes a bundle's graph. Calls from several threads at once are allowed."""

    name: str
    """As a user names it, for example ``"onnxruntime"``."""
    products: str
    """How the graph's matrix products are computed on this CPU, in words."""
    output_names: tuple[str, ...]
    output_ranks: Mapping[str, int | None]
    """Axes of each output in the graph: 2 for one row per text (and for ``start_logits`` and
    ``end_logits``, which have one number per token), 3 for one row per token; ``None`` if the
    graph does not declare them."""

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch.

        *Shape:* see :data:`ModelOutputs`; ``start_logits`` and ``end_logits`` are ``(tokens,)``.

        Raises:
            EngineError: an id is outside the vocabulary, a text is too long, or the engine failed.
        """


def load_engine(
    bundle: Bundle, intra_op_num_threads: int | None = None, engine: str = "auto"
) -> Engine:
    """Load the engine for ``bundle``.

    Args:
        bundle: what to run.
        intra_op_num_threads: threads of one call; ``None`` for all cores this process may use.
        engine: ``"native"``, ``"onnxruntime"``, or ``"auto"``: native wherever it can run the
            bundle, else ONNX Runtime.

    Raises:
        InputError: the number of threads makes no sense, or there is no such engine.
        BundleCorruptError, EngineError: the engine cannot load the graph, or cannot compute it
            exactly on this CPU.
    """
    check_count("threads", intra_op_num_threads, most=1024)
    name, reason = choose_engine(bundle, engine)
    if name == "native":
        from leanbert.engines.native.engine import NativeEngine

        try:
            return NativeEngine(bundle, intra_op_num_threads)
        except EngineError:  # what only the library itself can find out
            if engine == "native":
                raise
    elif engine == "native":
        raise EngineError(
            f"{bundle.path}: the native engine cannot run it: {reason}; "
            'engine="onnxruntime" or "auto" can'
        )
    from leanbert.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, intra_op_num_threads)


def choose_engine(bundle: Bundle, engine: str = "auto") -> tuple[str, str | None]:
    """The engine that would run ``bundle`` here, and why the native one would not.

    Raises:
        InputError: there is no such engine.
    """
    if engine not in ENGINES:
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    if engine == "onnxruntime":
        return engine, None
    from leanbert.engines.native.engine import why_not_native

    reason = why_not_native(bundle)
    return ("native", None) if reason is None else ("onnxruntime", reason)
