"""The steps that all tasks share: prepare a group of inputs, order its rows, run, restore.

``mode="latency"`` gives every batch all cores, ``mode="throughput"`` every core its own batches.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import accumulate, chain
from typing import Any, TypeVar

from leanbert.arguments import MODES, check_choice, check_count
from leanbert.aside import Aside
from leanbert.batching.grouping import CHUNK, FIRST, GROUP, Most, Prepared, groups
from leanbert.batching.order import cut_batches
from leanbert.batching.repeats import Recent, Shared
from leanbert.batching.workers import in_order
from leanbert.bundle import Bundle
from leanbert.closing import Closed
from leanbert.cpu import allowed_cores
from leanbert.engines import Batch, Engine, load_engine
from leanbert.errors import warn
from leanbert.tokenization.cutting import report_cut
from leanbert.tokenization.encodings import Encodings
from leanbert.tokenization.tokenizer import Tokenizer

__all__ = ["MAX_TOKENS", "Runner"]

_SHARES = 4  # of what a ceiling leaves to hold: two groups, remembered rows, what is under way

T = TypeVar("T")
E = TypeVar("E", bound=Encodings)
Row = TypeVar("Row")
R = TypeVar("R")

MAX_TOKENS = {"latency": 1024, "throughput": 512}
"""Padded tokens of one batch in each mode; more makes no matmul faster and leaves the caches.

Half as many per worker in throughput mode keep what is resident level; no budget from 256 to 2048
was faster by more than the noise of a shared machine.
"""


class Runner:
    """A bundle ready to run: its tokenizer, its engine, and the threads of a call.

    Args:
        bundle: the opened bundle.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        mode: ``"latency"`` or ``"throughput"``: whether they share a batch, or have each its own.
        engine: see :func:`leanbert.engines.load_engine`.
        max_memory_mb: a ceiling in MiB; see :func:`leanbert.pipelines.pipeline`.

    Raises:
        InputError: ``threads``, ``mode``, ``engine`` or ``max_memory_mb`` cannot be used.
        EngineError: the engine asked for cannot run the bundle.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        mode: str = "latency",
        engine: str = "auto",
        max_memory_mb: int | None = None,
    ) -> None:
        check_choice("mode", mode, MODES)
        check_count("threads", threads, most=1024)
        if bundle.manifest is None:
            warn(f"{bundle.path}: has no leanbert.json, so nothing of it is verified")
        if mode == "latency":
            self.workers, cores = 1, threads
        else:
            self.workers, cores = threads or allowed_cores(), 1
        # The tokenizer is read while the engine packs its weights without the interpreter's lock.
        reading = Aside(partial(Tokenizer.of, bundle), "leanbert-tokenizer")
        try:
            self.engine: Engine = load_engine(
                bundle, cores, engine, max_memory_mb=max_memory_mb, callers=self.workers
            )
        finally:
            reading.wait()
        self.tokenizer = reading.result()
        self.tokenizer.start_threads()
        ceiling = self.engine.ceiling
        self._held = None if ceiling is None else ceiling.holding // _SHARES
        if ceiling is not None:
            self.tokenizer.keep_below(ceiling)
        self.max_tokens = MAX_TOKENS[mode]
        self.repeats = 0
        """Rows that were not computed so far, because another had the same token ids."""
        self._counting = threading.Lock()

    def map(
        self,
        inputs: Iterable[object],
        preprocess: Callable[[Sequence[object], int], Prepared[T, E]],
        forward: Callable[[Batch], Sequence[Row]],
        postprocess: Callable[[T, E, range, Sequence[Row]], R],
        *,
        batch_size: int | None = None,
        group: int = GROUP,
        max_wait_ms: float | None = None,
        deduplicate: bool = True,
        weights: tuple[int, int] = (0, 0),
    ) -> Iterator[R]:
        """Answer each input, lazily and in order, a group of inputs at a time.

        An input is any number of rows: one, the windows of a long text, or the pairs that a
        question makes with its candidates. The rows of a group are ordered by length together.
        A group is drawn in full before its first answer; in throughput mode the next one too, so
        that it is tokenized while this one is computed, and the first group is smaller, so that
        computing begins soon. So at most two groups are held, each of up
        to ``group`` inputs or about :data:`~leanbert.batching.grouping.GROUP_TOKENS` tokens.

        With ``max_wait_ms`` the inputs are a live feed. The first is answered before a second is
        drawn; then groups grow fourfold as long as they fill within that time, and one that takes
        longer is answered with what it has, before anything else is drawn. An input that the feed
        itself holds back keeps those waiting that were drawn in the same group before it.

        Rows with the same token ids are computed once: see :mod:`leanbert.batching.repeats`.

        Args:
            inputs: what ``preprocess`` takes, drawn on the caller's thread.
            preprocess: checks and tokenizes some inputs, the first of which has the given number;
                on the caller's thread.
            forward: computes one batch, and gives what is kept of each row; called from several
                threads. Views keep the whole batch alive: copy what is kept.
            postprocess: turns an item, the encodings of its group, which of their rows are the
                item's, and what was kept of these into the answer; on the caller's thread.
            batch_size: largest number of rows of a batch; ``None`` leaves it to the token budget.
            group: how many inputs are ordered together at most.
            max_wait_ms: milliseconds that a group is waited for; ``None`` waits for whole groups.
            deduplicate: whether rows with the same token ids are computed once.
            weights: bytes that are kept of a row, and of each of its tokens: by these a ceiling
                bounds the groups.

        Raises:
            InputError: what ``inputs`` or ``preprocess`` raised; the answers of the groups before
                it are yielded first.
            EngineError: the engine failed; likewise.
        """
        waiting: deque[tuple[Prepared[T, E], Shared[Row] | None]] = deque()
        recent: Recent[Row] | None = Recent(self._held) if deduplicate else None
        most = Most.of(group, self._held, weights)
        first = GROUP if self.workers == 1 else FIRST

        def jobs() -> Iterator[list[Callable[[], list[tuple[int, Row]]]]]:
            for prepared in groups(inputs, preprocess, most, max_wait_ms, first):
                report_cut(prepared.encodings)
                shared = None if recent is None else recent.plan(prepared.encodings)
                waiting.append((prepared, shared))
                yield self._jobs(prepared.encodings, forward, batch_size, shared)

        def keeps_up() -> bool:  # or else what is computed would wait for a slow feed
            return max_wait_ms is None or len(waiting[-1][0].items) >= CHUNK

        with closing(in_order(jobs(), self.workers, keeps_up)) as computed:
            for found in computed:
                done, shared = waiting.popleft()
                rows = dict(chain.from_iterable(found))
                take: Callable[[int], Row] = rows.pop
                if recent is not None and shared is not None:
                    take = self._shared(recent, shared, rows)
                start = 0
                for i, item in enumerate(done.items):
                    own = range(start, start + (done.counts[i] if done.counts else 1))
                    yield postprocess(item, done.encodings, own, [take(i) for i in own])
                    start = own.stop

    def compute(
        self,
        encodings: Encodings,
        forward: Callable[[Batch], Sequence[Row]],
        batch_size: int | None = None,
        *,
        deduplicate: bool = True,
    ) -> list[Row]:
        """What ``forward`` keeps of each row, in the order of the rows.

        Raises:
            EngineError: the engine failed.
        """
        recent: Recent[Row] | None = Recent(self._held) if deduplicate else None
        shared = None if recent is None else recent.plan(encodings)
        jobs = self._jobs(encodings, forward, batch_size, shared)
        with closing(in_order([jobs], self.workers)) as computed:
            rows = dict(chain.from_iterable(next(computed)))
        take: Callable[[int], Row] = rows.pop
        if recent is not None and shared is not None:
            take = self._shared(recent, shared, rows)
        return [take(i) for i in range(len(encodings))]

    def close(self) -> None:
        """Free the model and the tokenizer; calls that run at this moment end at their next batch.

        May be called again. Every later use of the two raises EngineError.
        """
        if not isinstance(self.engine, Closed):
            self.engine.close()
            nothing: Any = Closed()
            self.engine = self.tokenizer = nothing

    def _shared(
        self, recent: Recent[Row], shared: Shared[Row], rows: dict[int, Row]
    ) -> Callable[[int], Row]:
        """Gives what is kept of each row of a group, when its new rows are computed."""
        recent.fill(shared, rows)
        with self._counting:
            self.repeats += len(shared) - len(shared.new)
        return shared.row

    def _jobs(
        self,
        encodings: Encodings,
        forward: Callable[[Batch], Sequence[Row]],
        batch_size: int | None,
        shared: Shared[Row] | None,
    ) -> list[Callable[[], list[tuple[int, Row]]]]:
        """One job per batch; each gives the numbers of its rows with what is kept of them."""
        if shared is None or len(shared.new) == len(shared):
            batches = cut_batches(encodings.lengths, self.max_tokens, batch_size)
        else:
            rows = shared.new
            cut = cut_batches(encodings.lengths[rows], self.max_tokens, batch_size)
            batches = [[rows[i] for i in batch] for batch in cut]
        # All are put in order at once. A gather for each batch would be ten calls of numpy, which
        # are slow right after the encoder has filled the caches.
        ordered = encodings.take(list(chain.from_iterable(batches)))
        ends = list(accumulate(map(len, batches)))

        def run(indices: Sequence[int], stop: int) -> list[tuple[int, Row]]:
            batch = ordered.part(stop - len(indices), stop)
            return list(zip(indices, forward(batch), strict=True))

        return [partial(run, *batch) for batch in zip(batches, ends, strict=True)]
