"""The ONNX Runtime engine below a ceiling of memory.

ONNX Runtime has no bound of memory for a session, but its allocator has one, where an allocator is
registered for the whole process and sessions are told to use it. So each session gets an allocator
of its own that way, and a graph that asks for more is refused by ONNX Runtime itself. The allocator
that is registered last has no bound: it is what sessions of others get that ask for one.

One thread computes all batches, one after the other: each thread that allocates keeps what it frees
for itself in glibc (four callers held 179 MiB where one held 40).
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from leanbert.bundle import Bundle
from leanbert.closing import refuse_closed
from leanbert.cpu import allowed_cores
from leanbert.engines.batch import Batch
from leanbert.engines.ceiling import Ceiling, DoesNotFitError, run_in_parts
from leanbert.engines.onnxruntime import OnnxRuntimeEngine
from leanbert.engines.ort import ort
from leanbert.engines.outputs import ModelOutputs
from leanbert.errors import BundleCorruptError, BundleError, EngineError
from leanbert.leaving import hold_if_leaving
from leanbert.log import log_info

__all__ = ["BoundedOnnxRuntimeEngine"]

_SAYS_SO = ("Available memory of", "Failed to allocate memory", "bad_alloc")
_WIDE = (None, "fill-mask", "feature-extraction")
"""The tasks whose outputs may be most of what is computed. They stand in the allocator's memory, as
the copies that are given to Python, and once more without their padding."""
_registering = threading.Lock()


class BoundedOnnxRuntimeEngine(OnnxRuntimeEngine):
    """Computes batches one at a time, in as many parts as the ceiling asks for.

    Args:
        bundle: what to run.
        threads: that compute a batch; ``None`` for all cores this process may use.
        max_memory_mb: the ceiling in MiB; see :func:`leanbert.engines.load_engine`.
        why_not_native: for the report: why the native engine was passed over.

    Raises:
        InputError: the ceiling is too low.
        BundleError: opening the graph takes more.
        BundleCorruptError, EngineError: as :class:`OnnxRuntimeEngine`; also where this version of
            ONNX Runtime keeps one ceiling for a process only, and there is one.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None,
        max_memory_mb: int,
        *,
        why_not_native: str | None,
    ) -> None:
        self.ceiling = self._parts = Ceiling.of(bundle, max_memory_mb, self.name)
        self._thread = _new_thread()
        self._refused: dict[int, int] = {}
        """The fewest padded tokens that did not fit, by the longest text's order of magnitude."""
        self._run_options = ort.RunOptions()
        # What a batch took goes back to the system, so that the next one finds all of it.
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        super().__init__(bundle, threads or allowed_cores(), why_not_native=why_not_native)

    def abandon(self) -> None:
        """See :class:`leanbert.engines.forking.Forkable`."""
        super().abandon()
        self._thread = _new_thread()

    def close(self) -> None:
        """See :class:`leanbert.engines.Engine`."""
        super().close()
        self._thread.shutdown(wait=False)

    def _open(self) -> ort.InferenceSession:
        """A session with an allocator of its own."""
        with _registering:
            task = self._bundle.task or self._bundle.config.head_task
            _register(self._parts.computing * (4 if task in _WIDE else 7) // 8)
            try:
                return super()._open()
            except BundleCorruptError as error:
                if not _is_of_memory(error):
                    raise
                raise BundleError(
                    f"{self._bundle.path}: its graph needs more memory than "
                    f"max_memory_mb={self._parts.megabytes} leaves; raise it, or do not use the "
                    "bundle"
                ) from error
            finally:
                _register(None)

    def _options(self, bundle: Bundle, threads: int) -> ort.SessionOptions:
        options = super()._options(bundle, threads)
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        return options

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch; see :class:`leanbert.engines.Engine`.

        Raises:
            InputError: a text of it does not fit below the ceiling.
        """
        try:
            ran = self._thread.submit(run_in_parts, batch, self._run_part, self._parts)
        except RuntimeError:  # it takes nothing more
            hold_if_leaving()
            refuse_closed()
        return ran.result()

    def _run_part(self, batch: Batch) -> ModelOutputs:
        longest = int(batch.lengths.max(initial=0))
        padded, magnitude = len(batch) * longest, longest.bit_length()
        if len(batch) > 1 and padded >= self._refused.get(magnitude, padded + 1):
            raise DoesNotFitError
        try:
            return super().run(batch)
        except EngineError as error:
            if not _is_of_memory(error):
                raise
            if len(batch) > 1:
                self._refused[magnitude] = padded
                log_info("%s: batches shrink below %d padded tokens", self._path, padded)
            raise DoesNotFitError from error


def _new_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "leanbert-onnxruntime")


def _register(most: int | None) -> None:
    """Register the allocator that the next session takes.

    Raises:
        EngineError: there is one, and this version of ONNX Runtime keeps it.
    """
    info = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    config = {"max_mem": most or 0, "arena_extend_strategy": 1}  # as much as is asked for
    try:
        ort.create_and_register_allocator(info, ort.OrtArenaCfg(config))
    except Exception as error:
        if most is None:  # the bounded one stays the only one
            return
        raise EngineError(
            f"onnxruntime {ort.__version__} keeps one max_memory_mb in a process, and there is one "
            "already; upgrade it to 1.24 or newer, or use one process per pipeline"
        ) from error


def _is_of_memory(error: Exception) -> bool:
    return any(said in str(error.__cause__ or error) for said in _SAYS_SO)
