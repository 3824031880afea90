"""Who computes: from a ragged batch of token ids to the model's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from leanbert.arguments import ENGINES, check_count
from leanbert.bundle import Bundle
from leanbert.engines.batch import Batch
from leanbert.engines.native.engine import NativeEngine
from leanbert.engines.outputs import ModelOutputs
from leanbert.engines.report import EngineReport
from leanbert.errors import EngineError, InputError, MissingExtraError

if TYPE_CHECKING:
    from leanbert.engines.ceiling import Ceiling

__all__ = [
    "ENGINES",
    "Batch",
    "Engine",
    "EngineReport",
    "ModelOutputs",
    "load_engine",
    "report_engine",
]


class Engine(Protocol):
    """Computes a bundle's graph. Calls from several threads at once are allowed."""

    name: str
    """As a user names it, for example ``"onnxruntime"``."""
    report: EngineReport
    """How it computes, and why the native engine does not, where it was passed over."""
    ceiling: Ceiling | None
    """How ``max_memory_mb`` is divided; ``None`` without one."""
    output_names: tuple[str, ...]
    output_ranks: Mapping[str, int | None]
    """Axes of each output in the graph: 2 for one row per text (and for ``start_logits`` and
    ``end_logits``, which have one number per token), 3 for one row per token; ``None`` if the
    graph does not declare them."""

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch.

        *Shape:* see :data:`ModelOutputs`; ``start_logits`` and ``end_logits`` are ``(tokens,)``.

        Raises:
            EngineError: an id is outside the vocabulary, a text is too long, the engine failed, or
                it is closed.
        """

    def close(self) -> None:
        """Free the model, at once or when the last call that runs at this moment has ended.

        May be called again. Later calls of :meth:`run` are refused.
        """


def load_engine(
    bundle: Bundle,
    intra_op_num_threads: int | None = None,
    engine: str = "auto",
    *,
    max_memory_mb: int | None = None,
    callers: int = 1,
) -> Engine:
    """Load the engine for ``bundle``.

    Args:
        bundle: what to run.
        intra_op_num_threads: threads of one call; ``None`` for all cores this process may use.
        engine: ``"native"``, ``"onnxruntime"``, or ``"auto"``: native wherever it can run the
            bundle, else ONNX Runtime.
        max_memory_mb: a ceiling of what the engine takes together with the modules, the tokenizer
            and the texts: see :mod:`leanbert.engines.ceiling`; ``None`` for none.
        callers: threads that compute batches at the same time; they share the ceiling.

    Raises:
        InputError: the number of threads makes no sense, or there is no such engine, or the ceiling
            is too low.
        BundleCorruptError, EngineError: the engine cannot load the graph, or cannot compute it
            exactly on this CPU.
        MissingExtraError: it is ONNX Runtime, which is not installed.
    """
    check_count("threads", intra_op_num_threads, most=1024)
    check_count("max_memory_mb", max_memory_mb, most=1 << 24)
    bound = None if max_memory_mb is None else (max_memory_mb, callers)
    native = _native(bundle, intra_op_num_threads, engine, bound)
    if isinstance(native, NativeEngine):
        return native
    try:
        from leanbert.engines.onnxruntime import OnnxRuntimeEngine
    except MissingExtraError as error:
        why = f" (the native engine cannot run it: {native})" if native else ""
        raise MissingExtraError(f"{bundle.path}: {error}{why}") from error

    if max_memory_mb is not None:
        from leanbert.engines.bounded import BoundedOnnxRuntimeEngine  # late: few have a ceiling

        cores = intra_op_num_threads and intra_op_num_threads * callers
        return BoundedOnnxRuntimeEngine(bundle, cores, max_memory_mb, why_not_native=native)
    return OnnxRuntimeEngine(bundle, intra_op_num_threads, why_not_native=native)


def report_engine(bundle: Bundle, engine: str = "auto") -> EngineReport:
    """What :func:`load_engine` would load here, found out without loading an ONNX graph.

    Raises:
        InputError: there is no such engine.
        BundleCorruptError: the logits do not match the labels.
        EngineError: ``engine="native"``, and it cannot run the bundle here.
    """
    native = _native(bundle, 1, engine)
    if isinstance(native, NativeEngine):
        return native.report
    try:
        from leanbert.engines.saturation import choose_matmuls

        matmuls = choose_matmuls(bundle).value
    except (EngineError, MissingExtraError) as error:
        matmuls = f"none: {error}"
    return EngineReport("onnxruntime", matmuls, None, native)


def _native(
    bundle: Bundle, threads: int | None, engine: str, bound: tuple[int, int] | None = None
) -> NativeEngine | str | None:
    """The native engine; the reason why it cannot run, a clause; ``None`` if it is not wanted.

    ``bound`` are the ceiling in MiB and the callers that share it.

    Raises:
        InputError, EngineError: as :func:`load_engine`.
    """
    if engine not in ENGINES:
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    if engine == "onnxruntime":
        return None
    try:
        if bound is not None:
            from leanbert.engines.native.bounded import BoundedNativeEngine  # late, likewise

            return BoundedNativeEngine(bundle, threads, *bound)
        return NativeEngine(bundle, threads)
    except EngineError as error:
        if engine == "auto":
            return str(error)
        raise EngineError(
            f"{bundle.path}: the native engine cannot run it: {error}; "
            'engine="onnxruntime" or "auto" can'
        ) from error
