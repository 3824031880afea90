"""The native engine below a ceiling of memory."""

from __future__ import annotations

import threading

from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.engines.batch import Batch
from leanbert.engines.ceiling import Ceiling, DoesNotFitError, run_in_parts
from leanbert.engines.forking import watch_forks
from leanbert.engines.native.engine import MOST_THREADS, NativeEngine, layout_of
from leanbert.engines.native.needs import Needs
from leanbert.engines.outputs import ModelOutputs

__all__ = ["BoundedNativeEngine"]


class BoundedNativeEngine(NativeEngine):
    """Computes batches in as many parts as the ceiling asks for, at most ``callers`` at once.

    Args:
        bundle: what to run.
        threads: cores of one call, at most 64; ``None`` for all this process may use.
        max_memory_mb: the ceiling in MiB; see :func:`leanbert.engines.load_engine`.
        callers: threads that share the ceiling at one time.

    Raises:
        InputError: the ceiling is too low.
        BundleCorruptError, EngineError: as :class:`NativeEngine`.
    """

    def __init__(
        self, bundle: Bundle, threads: int | None, max_memory_mb: int, callers: int
    ) -> None:
        layout = layout_of(bundle)
        self._needs = Needs(layout, min(MOST_THREADS, threads or allowed_cores()))
        self._callers = callers
        self.ceiling = self._parts = Ceiling.of(bundle, max_memory_mb, self.name)
        self.abandon()
        watch_forks(self)
        super().__init__(bundle, threads)

    def abandon(self) -> None:
        """See :class:`leanbert.engines.forking.Forkable`."""
        self._turns = threading.Semaphore(self._callers)

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch; see :class:`leanbert.engines.Engine`.

        Raises:
            InputError: a text of it does not fit below the ceiling.
        """
        return run_in_parts(batch, self._run_part, self._parts)

    def _run_part(self, batch: Batch) -> ModelOutputs:
        if self._needs.bytes_of(batch) > self._parts.computing // self._callers:
            raise DoesNotFitError
        with self._turns:
            return super().run(batch)
