"""The steps that all tasks share: tokenize, order, run, restore the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from leanbert.bundle import Bundle
from leanbert.engines import ModelOutputs, load_engine
from leanbert.errors import InputError
from leanbert.scheduling import plan_batches, windows
from leanbert.tokenization import ModelInputs, Tokenizer, text_input

R = TypeVar("R")

WINDOW = 2048
"""Texts that are ordered together: enough to batch like with like, little enough to stream."""

MAX_TOKENS = 1024
"""Padded tokens of one batch; more makes no product faster and leaves the caches."""


class Encoder:
    """A bundle ready to run: its tokenizer and its engine.

    Args:
        bundle: the opened bundle.
        threads: threads of one call; ``None`` for all cores this process may use.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; it must be at least 1")
        self.bundle = bundle
        self.engine = load_engine(bundle, threads)
        self.tokenizer = Tokenizer.of(bundle)

    def map(
        self,
        items: Iterable[object],
        decode: Callable[[ModelOutputs, ModelInputs], Sequence[R]],
        *,
        truncation: bool | None = None,
        max_length: int | None = None,
        batch_size: int | None = None,
    ) -> Iterator[R]:
        """Answer each item, lazily and in order, a window of texts at a time.

        Args:
            items: strings, or what :func:`leanbert.tokenization.text_input` takes.
            decode: turns one batch's outputs and inputs into an answer a row.
            truncation: see :meth:`leanbert.tokenization.Tokenizer.encode`.
            max_length: see there.
            batch_size: largest number of texts of a batch; ``None`` leaves it to the token budget.

        Raises:
            InputError: an item is no text; earlier answers may have been yielded.
        """
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; it must be at least 1")
        start = 0
        for window in windows(items, WINDOW):
            texts = [text_input(item, start + i) for i, item in enumerate(window)]
            encodings = self.tokenizer.encode(
                texts, truncation=truncation, max_length=max_length, first_index=start
            )
            answers: dict[int, R] = {}
            for batch in plan_batches(encodings.lengths, MAX_TOKENS, batch_size):
                inputs = encodings.collate(batch)
                rows = decode(self.engine.run(inputs), inputs)
                answers.update(zip(batch, rows, strict=True))
            for i in range(len(texts)):
                yield answers.pop(i)
            start += len(texts)

    def warm_up(self) -> None:
        """Run one tiny text, so that the first real one does not pay for lazy set-up."""
        self.engine.run({name: np.ones((1, 2), dtype=np.int64) for name in self.engine.input_names})
