"""What the tasks stand on whose steps are still functions over a dictionary of options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from leanbert.batching import GROUP, Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.options import IGNORED, NOT_GIVEN, CallOptions
from leanbert.tokenization import Encodings, text_input

__all__ = ["ClosurePipeline"]

E = TypeVar("E", bound=Encodings)
T = TypeVar("T")
Row = TypeVar("Row")
R = TypeVar("R")

_SHARED = frozenset({"truncation", "max_length", "batch_size"})


class ClosurePipeline(Pipeline):
    """A task that gives the runner its steps at each call."""

    arguments: ClassVar[frozenset[str]]
    """The task's own arguments of a call, beyond those of all tasks."""
    options_type = CallOptions

    def _parse(self, arguments: Mapping[str, Any]) -> Any:
        self._merged(dict(arguments))
        shared = {name: value for name, value in arguments.items() if name in _SHARED}
        return CallOptions(**shared)

    def preprocess(self, inputs: Sequence[object], first: int, options: Any) -> Prepared[Any, Any]:
        """Not used: the steps travel as arguments."""
        raise NotImplementedError

    def keep(self, outputs: ModelOutputs, batch: Batch, options: Any) -> Sequence[Any]:
        """Not used: the steps travel as arguments."""
        raise NotImplementedError

    def postprocess(
        self, item: Any, encodings: Any, own: range, kept: Sequence[Any], options: Any
    ) -> Any:
        """Not used: the steps travel as arguments."""
        raise NotImplementedError

    def _merged(self, given: dict[str, Any]) -> dict[str, Any]:
        """The defaults with the arguments that were given over them."""
        options = {
            **self.defaults,
            **{name: value for name, value in given.items() if value is not NOT_GIVEN},
        }
        known = self.arguments | _SHARED | IGNORED
        unknown = sorted(set(options) - known)
        if unknown:
            raise InputError(
                f"unknown argument {', '.join(unknown)}; {self.task} takes "
                f"{', '.join(sorted(known))}"
            )
        return options

    def _map(
        self,
        items: Iterable[object],
        reduce: Callable[[ModelOutputs, Batch], Sequence[R]],
        options: dict[str, Any],
        group: int = GROUP,
    ) -> Iterator[R]:
        shared = CallOptions(**{k: v for k, v in options.items() if k in _SHARED})

        def encode(part: Sequence[object], first: int) -> tuple[Encodings, Sequence[int]]:
            encodings = self.runner.tokenizer.encode(
                [text_input(item, first + i) for i, item in enumerate(part)],
                truncation=shared.truncation,
                max_length=shared.max_length,
                first_index=first,
            )
            return encodings, [1] * len(part)

        return self._map_rows(
            items, encode, reduce, lambda _, __, ___, rows: rows[0], options, group
        )

    def _map_rows(
        self,
        items: Iterable[T],
        encode: Callable[[Sequence[T], int], tuple[E, Sequence[int]]],
        reduce: Callable[[ModelOutputs, Batch], Sequence[Row]],
        answer: Callable[[T, E, range, Sequence[Row]], R],
        options: dict[str, Any],
        group: int = GROUP,
    ) -> Iterator[R]:
        """See :meth:`leanbert.batching.Runner.map`."""

        def preprocess(part: Sequence[Any], first: int) -> Prepared[T, E]:
            encodings, counts = encode(part, first)
            return Prepared(part, encodings, counts)

        def forward(batch: Batch) -> Sequence[Row]:
            return reduce(self.runner.engine.run(batch), batch)

        shared = CallOptions(**{k: v for k, v in options.items() if k in _SHARED})
        return self.runner.map(
            items, preprocess, forward, answer, batch_size=shared.batch_size, group=group
        )

    def _logits(self, outputs: ModelOutputs, _: Batch) -> list[Floats]:
        """What to keep of a batch where each row's logits are wanted, one for each label."""
        logits = outputs["logits"]
        self.bundle.check_num_labels(logits.shape[-1])
        return [row.copy() for row in logits]  # a view would keep the whole batch alive

    def _dispatch(
        self, inputs: object, answers: Callable[[Iterable[object]], Iterator[Any]]
    ) -> Any:
        """The answer of one input, a list for a list, a lazy iterator for any other iterable."""
        if self._is_one(inputs):
            return next(answers([inputs]))
        if isinstance(inputs, (list, tuple)):
            return list(answers(inputs))
        if isinstance(inputs, Iterable) and not isinstance(inputs, (bytes, bytearray)):
            return answers(inputs)
        raise InputError(
            f"expected a text, a list of texts or an iterable, got {type(inputs).__name__}"
        )
