"""The steps that all tasks share: tokenize, order, run, restore the order.

``mode="latency"`` gives every batch all cores, ``mode="throughput"`` every core its own batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Generic, TypeVar

from leanbert.arguments import check_count
from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.engines import ModelOutputs, load_engine
from leanbert.errors import InputError, warn
from leanbert.scheduling import plan_batches, windows
from leanbert.tokenization import Encodings, ModelInputs, Tokenizer, join, text_input
from leanbert.workers import in_order

E = TypeVar("E", bound=Encodings)
T = TypeVar("T")
Row = TypeVar("Row")
R = TypeVar("R")

WINDOW = 2048
"""Texts that are ordered together: enough to batch like with like, little enough to stream."""

GROUP_TOKENS = 1 << 18
"""Tokens that are ordered together where one item may be many rows, documents for example."""

_CHUNK = 64  # items that are encoded between two looks at GROUP_TOKENS

MAX_TOKENS = {"latency": 1024, "throughput": 512}
"""Padded tokens of one batch in each mode; more makes no product faster and leaves the caches.

Half as many a worker in throughput mode keep what is resident level; no budget from 256 to 2048 was
faster by more than the noise of a shared machine.
"""

MODES = tuple(MAX_TOKENS)


@dataclass
class _Group(Generic[T, E]):
    """Items that are ordered together, and their rows."""

    items: list[T]
    encodings: E
    counts: list[int]
    """Rows of each item; they stand one after the other."""


class Encoder:
    """A bundle ready to run: its tokenizer and its engine.

    Args:
        bundle: the opened bundle.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        mode: ``"latency"`` or ``"throughput"``: whether they share a batch, or have each its own.
        engine: see :func:`leanbert.engines.load_engine`.

    Raises:
        InputError: ``threads``, ``mode`` or ``engine`` cannot be used.
        EngineError: the engine asked for cannot run the bundle.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        mode: str = "latency",
        engine: str = "auto",
    ) -> None:
        if mode not in MODES:
            raise InputError(f"mode is {mode!r}; expected one of {', '.join(MODES)}")
        check_count("threads", threads, most=1024)
        if bundle.manifest is None:
            warn(f"{bundle.path}: has no leanbert.json, so nothing of it is verified")
        self.bundle = bundle
        if mode == "latency":
            self.workers = 1
            self.engine = load_engine(bundle, threads, engine)
        else:
            self.workers = threads or allowed_cores()
            self.engine = load_engine(bundle, 1, engine)
        self.max_tokens = MAX_TOKENS[mode]
        self.tokenizer = Tokenizer.of(bundle)

    def map(
        self,
        items: Iterable[object],
        decode: Callable[[ModelOutputs, ModelInputs], Sequence[R]],
        *,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        batch_size: int | None = None,
        window: int = WINDOW,
    ) -> Iterator[R]:
        """Answer each item, lazily and in order, a window of texts at a time.

        A window is drawn in full before its first answer; in throughput mode the next one too, so
        that it is tokenized while this one is computed. So at most two windows of texts are held,
        and a feed that must be answered text by text is better called text by text. Items are
        drawn and tokenized on the caller's thread.

        Args:
            items: strings, or what :func:`leanbert.tokenization.text_input` takes.
            decode: turns one batch's outputs and inputs into an answer a row.
            truncation: see :meth:`leanbert.tokenization.Tokenizer.encode`.
            max_length: see there.
            batch_size: largest number of texts of a batch; ``None`` leaves it to the token budget.
            window: how many texts are ordered together, and answers held at once.

        Raises:
            InputError: an item is no text; the answers of the windows before it are yielded first.
            EngineError: the engine failed; likewise.
        """
        check_count("batch_size", batch_size)
        check_count("max_length", max_length)

        def jobs() -> Iterator[list[Callable[[], list[tuple[int, R]]]]]:
            start = 0
            for part in windows(items, window):
                texts = [text_input(item, start + i) for i, item in enumerate(part)]
                encodings = self.tokenizer.encode(
                    texts, truncation=truncation, max_length=max_length, first_index=start
                )
                start += len(texts)
                batches = plan_batches(encodings.lengths, self.max_tokens, batch_size)
                yield [partial(self._answer, encodings, batch, decode) for batch in batches]

        with closing(in_order(jobs(), self.workers)) as computed:
            for rows in computed:
                answers = dict(chain.from_iterable(rows))
                for i in range(len(answers)):
                    yield answers.pop(i)

    def map_rows(
        self,
        items: Iterable[T],
        encode: Callable[[Sequence[T], int], tuple[E, Sequence[int]]],
        reduce: Callable[[ModelOutputs, ModelInputs], Sequence[Row]],
        answer: Callable[[T, E, range, Sequence[Row]], R],
        *,
        batch_size: int | None = None,
        window: int = WINDOW,
    ) -> Iterator[R]:
        """Answer each item, which may be any number of rows, lazily and in order.

        Rows are the windows of a long text, or the pairs that a question makes with its
        candidates; those of many items are ordered by length together. At most two groups of
        ``window`` items, or of about :data:`GROUP_TOKENS` tokens, are held: see :meth:`map`.

        Args:
            items: what ``encode`` takes, drawn on the caller's thread.
            encode: turns some items, the first of which has the given index, into encodings and
                the number of rows of each; on the caller's thread.
            reduce: turns one batch's outputs and inputs into what is kept of each row; called
                from several threads. Views keep the whole batch alive: copy what is kept.
            answer: turns an item, its group's encodings, which of them are the item's, and what
                was kept of these into the answer; on the caller's thread.
            batch_size: largest number of rows of a batch; ``None`` leaves it to the token budget.
            window: how many items are ordered together at most.

        Raises:
            InputError: what ``items`` or ``encode`` raised; the answers of the groups before it
                are yielded first.
            EngineError: the engine failed; likewise.
        """
        check_count("batch_size", batch_size)
        waiting: deque[_Group[T, E]] = deque()

        def jobs() -> Iterator[list[Callable[[], list[tuple[int, Row]]]]]:
            for group in _groups(items, encode, window):
                waiting.append(group)
                encodings = group.encodings
                batches = plan_batches(encodings.lengths, self.max_tokens, batch_size)
                yield [partial(self._answer, encodings, batch, reduce) for batch in batches]

        with closing(in_order(jobs(), self.workers)) as computed:
            for found in computed:
                group = waiting.popleft()
                rows = dict(chain.from_iterable(found))
                start = 0
                for item, count in zip(group.items, group.counts, strict=True):
                    own = range(start, start + count)
                    yield answer(item, group.encodings, own, [rows.pop(i) for i in own])
                    start += count

    def _answer(
        self,
        encodings: Encodings,
        batch: Sequence[int],
        decode: Callable[[ModelOutputs, ModelInputs], Sequence[R]],
    ) -> list[tuple[int, R]]:
        """Each text of a batch with its answer; called from several threads."""
        inputs = encodings.collate(batch)
        rows = decode(self.engine.run(inputs), inputs)
        return list(zip(batch, rows, strict=True))


def _groups(
    items: Iterable[T], encode: Callable[[Sequence[T], int], tuple[E, Sequence[int]]], window: int
) -> Iterator[_Group[T, E]]:
    """Up to ``window`` items, or as many as have ``GROUP_TOKENS`` tokens, encoded."""
    start = tokens = 0
    held: list[T] = []
    parts: list[E] = []
    counts: list[int] = []
    for chunk in windows(items, min(_CHUNK, window)):
        encodings, rows = encode(chunk, start)
        start += len(chunk)
        tokens += sum(encodings.lengths)
        held += chunk
        parts.append(encodings)
        counts += rows
        if len(held) >= window or tokens >= GROUP_TOKENS:
            yield _Group(held, join(parts), counts)
            held, parts, counts, tokens = [], [], [], 0
    if held:
        yield _Group(held, join(parts), counts)
