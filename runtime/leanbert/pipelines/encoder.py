"""The steps that all tasks share: tokenize, order, run, restore the order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from leanbert.arguments import check_count
from leanbert.bundle import Bundle
from leanbert.engines import ModelOutputs, load_engine
from leanbert.errors import LeanBertWarning
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
        if bundle.manifest is None:
            warnings.warn(
                f"{bundle.path}: has no leanbert.json, so nothing of it is verified",
                LeanBertWarning,
                stacklevel=2,
            )
        self.bundle = bundle
        self.engine = load_engine(bundle, threads)
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

        Args:
            items: strings, or what :func:`leanbert.tokenization.text_input` takes.
            decode: turns one batch's outputs and inputs into an answer a row.
            truncation: see :meth:`leanbert.tokenization.Tokenizer.encode`.
            max_length: see there.
            batch_size: largest number of texts of a batch; ``None`` leaves it to the token budget.
            window: how many texts are ordered together, and answers held at once.

        Raises:
            InputError: an item is no text; earlier answers may have been yielded.
        """
        check_count("batch_size", batch_size)
        check_count("max_length", max_length)
        start = 0
        for part in windows(items, window):
            texts = [text_input(item, start + i) for i, item in enumerate(part)]
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
