"""What every pipeline is: an encoder, defaults, and calls that take one, many or a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, Final, TypeVar

from leanbert.bundle import Bundle
from leanbert.engines import ModelOutputs
from leanbert.errors import InputError, TaskError
from leanbert.numerics import Floats
from leanbert.pipelines.encoder import WINDOW, Encoder
from leanbert.tokenization import Encodings, ModelInputs

E = TypeVar("E", bound=Encodings)
T = TypeVar("T")
Row = TypeVar("Row")
R = TypeVar("R")


class NotGiven(Enum):
    """The type of :data:`NOT_GIVEN`."""

    TOKEN = 0


NOT_GIVEN: Final = NotGiven.TOKEN
"""The value of an argument that was left out, where ``None`` has a meaning of its own."""

# Arguments of every call, and those that transformers takes and that change nothing here.
_SHARED = frozenset({"truncation", "max_length", "batch_size"})
_IGNORED = frozenset({"padding", "num_workers"})

_HEADS = frozenset({"text-classification", "token-classification", "fill-mask"})


class Pipeline(ABC):
    """Base of the tasks.

    Args:
        bundle: what to run.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.

    Raises:
        TaskError: the model does not do this task.
        InputError: an argument cannot be used.
        EngineError: the engine asked for cannot run the bundle.
    """

    task: ClassVar[str]
    required_outputs: ClassVar[Mapping[str, int]]
    """The graph's outputs that the task decodes, with the number of their axes: 2 for one row a
    text (or one number a token), 3 for one row a token."""
    export_task: ClassVar[str | None] = None
    """The task whose exports it decodes, where that is another."""
    arguments: ClassVar[frozenset[str]]
    """The task's own arguments of a call, beyond those of all tasks."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        mode: str = "latency",
        threads: int | None = None,
        engine: str = "auto",
        **defaults: Any,
    ) -> None:
        self.bundle = bundle
        self.mode = mode
        self.threads = threads
        self.engine = engine
        self.defaults = defaults
        self._merged({})  # a wrong default is reported here, not at the first call
        self.encoder = Encoder(bundle, threads, mode, engine)
        self._check_head()
        labels = bundle.config.id2label
        self.labels = [labels[i] for i in range(len(labels))]
        """Name of each logit, where the head gives one row of them."""
        self._prepare()

    def _prepare(self) -> None:  # noqa: B027 - most tasks have nothing to add
        """What a task finds out once, when the pipeline is made; it may raise what that raises."""

    @abstractmethod
    def __call__(self, inputs: object, **kwargs: Any) -> Any:
        """Answer one text, a list, or lazily whatever an iterable yields."""

    def stream(self, inputs: Iterable[object], **kwargs: Any) -> Iterator[Any]:
        """Answer any iterable lazily and in order, in constant memory.

        The arguments are those of a call; a list is streamed too.
        """
        answers: Iterator[Any] = self(iter(inputs), **kwargs)
        return answers

    def _check_head(self) -> None:
        """Refuse a model that has another head than the task decodes."""
        engine, bundle = self.encoder.engine, self.bundle
        head = bundle.config.head_task
        made_for = bundle.task or head
        wanted = self.export_task or self.task
        fits = all(
            name in engine.output_names and engine.output_ranks.get(name) in (rank, None)
            for name, rank in self.required_outputs.items()
        )
        # Several heads call what they give logits.
        if fits and ("logits" not in self.required_outputs or made_for not in _HEADS - {wanted}):
            return
        said = [f"it was exported for {bundle.task}"] if bundle.task else []
        said += [f"the checkpoint's head is for {head}"] if head else []
        each = "each token" if 3 in self.required_outputs.values() else "each text"
        raise TaskError(
            f"{bundle.path}: {self.task} needs the output {', '.join(self.required_outputs)} of "
            f"{each}, the model gives {', '.join(map(_describe, engine.output_ranks.items()))}"
            f"{' (' + '; '.join(said) + ')' if said else ''}; "
            f"export a checkpoint with a head for {wanted}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a recipe: another process opens the bundle itself, no weights travel."""
        path = self.bundle.path.absolute()
        return (_reopen, (type(self), path, self.mode, self.threads, self.engine, self.defaults))

    def _merged(self, given: dict[str, Any]) -> dict[str, Any]:
        """The defaults with the arguments that were given over them."""
        options = {
            **self.defaults,
            **{name: value for name, value in given.items() if value is not NOT_GIVEN},
        }
        known = self.arguments | _SHARED | _IGNORED
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
        decode: Callable[[ModelOutputs, ModelInputs], Sequence[R]],
        options: dict[str, Any],
        window: int = WINDOW,
    ) -> Iterator[R]:
        shared = {name: value for name, value in options.items() if name in _SHARED}
        return self.encoder.map(items, decode, window=window, **shared)

    def _map_rows(
        self,
        items: Iterable[T],
        encode: Callable[[Sequence[T], int], tuple[E, Sequence[int]]],
        reduce: Callable[[ModelOutputs, ModelInputs], Sequence[Row]],
        answer: Callable[[T, E, range, Sequence[Row]], R],
        options: dict[str, Any],
        window: int = WINDOW,
    ) -> Iterator[R]:
        """See :meth:`leanbert.pipelines.encoder.Encoder.map_rows`."""
        batch_size = options.get("batch_size")
        return self.encoder.map_rows(
            items, encode, reduce, answer, batch_size=batch_size, window=window
        )

    def _logits(self, outputs: ModelOutputs, _: ModelInputs) -> list[Floats]:
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

    @staticmethod
    def _is_one(inputs: object) -> bool:
        """Whether ``inputs`` is a single text or pair."""
        return isinstance(inputs, (str, Mapping))


def _describe(output: tuple[str, int | None]) -> str:
    name, rank = output
    return name + {2: " of each text", 3: " of each token"}.get(rank or 0, "")


def _reopen(
    kind: type[Pipeline],
    path: Any,
    mode: str,
    threads: int | None,
    engine: str,
    defaults: dict[str, Any],
) -> Pipeline:
    return kind(Bundle.open(path), mode=mode, threads=threads, engine=engine, **defaults)
