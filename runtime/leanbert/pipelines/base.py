"""What every pipeline is: a runner, defaults, and calls that take one, many or a stream.

A task is three methods. A call goes through them in this order::

    __call__ -> _call -> preprocess   inputs as the caller gave them -> token ids
                      -> forward      token ids -> what is kept of the model's outputs
                      -> postprocess  what was kept -> the answer
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from leanbert.batching import GROUP, Prepared, Runner
from leanbert.bundle import Bundle
from leanbert.closing import refuse_closed
from leanbert.engines import Batch, EngineReport, ModelOutputs
from leanbert.errors import EngineError
from leanbert.log import log_info
from leanbert.pipelines.inputs import several
from leanbert.pipelines.lifetime import Lifetime
from leanbert.pipelines.options import CallOptions
from leanbert.tokenization.cutting import report_cut

if TYPE_CHECKING:  # type parameters have defaults from Python 3.13 on
    from typing_extensions import TypeVar

    from leanbert.pipelines.drop_in import Device, ModelView, TokenizerView

    OptionsT = TypeVar("OptionsT", bound=CallOptions, default=Any)
else:
    from typing import TypeVar

    OptionsT = TypeVar("OptionsT")

__all__ = ["Pipeline"]

_HEADS = frozenset({"text-classification", "token-classification", "fill-mask"})


class Pipeline(Lifetime, ABC, Generic[OptionsT]):
    """Base of the tasks; ``OptionsT`` is the class of the task's options.

    What a task's own steps hand to each other is ``Any`` here: an input once it is checked, and
    what is kept of one row of the model's outputs. Each task says what they are.

    Args:
        bundle: a bundle that was exported for the task.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        output_name: which output of a plain export's graph is decoded: likewise.
        max_memory_mb: a ceiling of memory: likewise.
        defaults: defaults for the arguments of a call.

    Raises:
        TaskError: the model does not do this task.
        InputError: an argument cannot be used.
        EngineError: the engine asked for cannot run the bundle.
    """

    task: ClassVar[str]
    required_outputs: ClassVar[Mapping[str, int]]
    """The graph's outputs that the task decodes, with the number of their axes: 2 for one row per
    text (or one number per token), 3 for one row per token."""
    export_task: ClassVar[str | None] = None
    """The task whose exports it decodes, where that is another."""
    options_type: type[OptionsT]
    """The class of its options."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        mode: str = "latency",
        threads: int | None = None,
        engine: str = "auto",
        output_name: str | int | None = None,
        max_memory_mb: int | None = None,
        **defaults: Any,
    ) -> None:
        self.bundle = bundle
        self.mode = mode
        self.threads = threads
        self.engine = engine
        self.output_name = output_name
        self.max_memory_mb = max_memory_mb
        self.defaults = defaults
        labels = bundle.config.id2label
        self.labels = [labels[i] for i in range(len(labels))]
        """Name of each logit, where the head gives one row of them."""
        self._defaults = self.options_type.canonical(defaults, self.task)
        options = self.options_type(**self._defaults)  # reports a wrong default now
        self.runner = Runner(bundle, threads, mode, engine, max_memory_mb)
        if bundle.manifest is None or output_name is not None:
            from leanbert.engines.chosen import choose_output  # late: a bundle has no use for it

            self.runner.engine = choose_output(
                self.runner.engine, output_name, self.required_outputs, bundle
            )
        self._check_head()
        self._prepare()
        self._default_options = self._completed(options)
        log_info("%s: %s on %s", bundle.path, self.task, self.engine_report)

    def _prepare(self) -> None:
        """What a task finds out once, when the pipeline is made; it may raise what that raises."""

    @property
    def engine_report(self) -> EngineReport:
        """Which engine computes, how, and why ``engine="auto"`` passed the native one over."""
        return self.runner.engine.report

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer one text, a list, or lazily whatever an iterable yields."""

    def stream(self, inputs: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Answer any iterable lazily and in order, in constant memory.

        The arguments are those of a call; a list is streamed too.
        """
        given = several(inputs)
        if not isinstance(given, Iterator):  # it is all there: nothing is to be waited for
            kwargs.setdefault("max_wait_ms", None)
        answers: Iterator[Any] = self(iter(given), *args, **kwargs)
        return answers

    def table(
        self, data: Any, column: str | None = None, *, pair_column: str | None = None, **kwargs: Any
    ) -> Any:
        """A frame with the answers to a column of its texts as further columns.

        Args:
            data: of pandas, polars, pyarrow, numpy, ``datasets``, or what speaks Arrow's C
                interface: see :mod:`leanbert.pipelines.frames`. It stays as it is.
            column: of the texts; ``"text"`` by default. A series or an array needs none.
            pair_column: of the second texts, if any.
            kwargs: as in a call.

        Returns:
            A frame of the same kind, with the same rows and, for pandas, the same index. The
            answers' columns have the names of the answers' keys, ``label`` and ``score`` for
            example; where the frame has such a column, ``predicted_label``. Where a text is
            missing, its answers are, too, and a warning says how many.

        Raises:
            InputError: it is no frame, or has no such column, or a value is not a text.
            MissingExtraError: pyarrow is needed and not installed.
        """
        from leanbert.pipelines.frames import answered_frame  # late: few have frames

        return answered_frame(
            data, column, pair_column, lambda texts: self(texts, **kwargs), self.labels
        )

    def predict(self, inputs: Any) -> Any:
        """The same as a call, under the name that scikit-learn gives it."""
        return self(inputs)

    transform = predict

    @property
    def tokenizer(self) -> TokenizerView:
        """The special tokens and the limit of the tokenizer, under transformers' names."""
        from leanbert.pipelines.drop_in import TokenizerView

        return TokenizerView(self.runner.tokenizer)

    @property
    def model(self) -> ModelView:
        """The model's ``config``, as transformers' pipelines have it."""
        from leanbert.pipelines.drop_in import ModelView

        return ModelView(self.bundle)

    @property
    def device(self) -> Device:
        """Where the model computes: ``"cpu"``."""
        from leanbert.pipelines.drop_in import Device

        return Device("cpu")

    # ---- the three methods of a task ----

    @abstractmethod
    def preprocess(
        self, inputs: Sequence[object], first: int, options: OptionsT
    ) -> Prepared[Any, Any]:
        """Check and tokenize some inputs, the first of which has the number ``first``.

        Raises:
            InputError: one of them cannot be used.
        """

    def forward(self, batch: Batch, options: OptionsT) -> Sequence[Any]:
        """Compute one batch; several threads call it at once.

        Raises:
            EngineError: the engine failed.
        """
        return self.keep(self.runner.engine.run(batch), batch, options)

    @abstractmethod
    def keep(self, outputs: ModelOutputs, batch: Batch, options: OptionsT) -> Sequence[Any]:
        """What to keep of each text of a batch; ``None`` where its outputs are NaN or infinite.

        No view of ``outputs``: that would keep all of them alive.
        """

    @abstractmethod
    def postprocess(
        self, item: Any, encodings: Any, own: range, kept: Sequence[Any], options: OptionsT
    ) -> Any:
        """The answer to one input.

        Args:
            item: the input, as ``preprocess`` gave it.
            encodings: those of a group of inputs.
            own: which of their rows are this input's.
            kept: what ``keep`` kept of each of these rows.
            options: of the call.
        """

    # ---- calls ----

    def _call_options(self, given: Mapping[str, Any]) -> OptionsT:
        """The options of a call: the pipeline's defaults with the given arguments over them.

        Raises:
            InputError: an argument is unknown, or its value cannot be used.
            EngineError: the pipeline is closed.
        """
        if self.closed:
            refuse_closed()
        if not given:
            return self._default_options
        found = self.options_type.canonical(given, self.task)
        return self._completed(self.options_type(**{**self._defaults, **found}))

    def _completed(self, options: OptionsT) -> OptionsT:
        """The options with what the bundle adds to them; it may raise what a call raises."""
        return options

    def _call(self, inputs: object, options: OptionsT) -> Any:
        """The answer to one input, or to several: see :mod:`leanbert.pipelines.inputs`."""
        if self._is_one(inputs):
            prepared = self.preprocess([inputs], 0, options)
            encodings = prepared.encodings
            report_cut(encodings)
            kept = (
                self.forward(encodings, options)
                if len(encodings.lengths) == 1
                else self.runner.compute(
                    encodings,
                    partial(self.forward, options=options),
                    options.batch_size,
                    deduplicate=options.deduplicate,
                )
            )
            return self._answer(prepared.items[0], encodings, range(len(kept)), kept, options)
        items = several(inputs)
        answers = self._many(items, options)
        return answers if isinstance(items, Iterator) else list(answers)

    def _many(self, inputs: Iterable[object], options: OptionsT) -> Iterator[Any]:
        """The answer to each input, lazily and in order."""
        return self.runner.map(
            inputs,
            partial(self.preprocess, options=options),
            partial(self.forward, options=options),
            partial(self._answer, options=options),
            batch_size=options.batch_size,
            group=self._group(options),
            max_wait_ms=options.max_wait_ms if isinstance(inputs, Iterator) else None,
            deduplicate=options.deduplicate,
            weights=self._weights(options),
        )

    def _answer(
        self, item: Any, encodings: Any, own: range, kept: Sequence[Any], options: OptionsT
    ) -> Any:
        """What ``postprocess`` makes of an input, unless the model gave no numbers for it."""
        self.check_finite(item, kept)
        return self.postprocess(item, encodings, own, kept, options)

    def check_finite(self, item: Any, kept: Sequence[Any]) -> None:
        """Refuse an input for which the model gave no numbers.

        Raises:
            EngineError: what :meth:`keep` kept of one of its rows is ``None``.
        """
        for row in kept:
            if row is None:
                raise EngineError(
                    f"{self.bundle.path}: the model gives NaN or infinite "
                    f"{', '.join(self.required_outputs)} for {self._text_of(item)[:60]!r}; its "
                    "weights may be damaged: run leanbert verify on it, or export it again"
                )

    def _text_of(self, item: Any) -> str:
        """The text, or the first one, of an input as ``preprocess`` gave it."""
        while not isinstance(item, str):
            item = item[0]
        return item

    def _group(self, options: OptionsT) -> int:
        """How many inputs are ordered, and their answers held, together."""
        return GROUP

    def _weights(self, options: OptionsT) -> tuple[int, int]:
        """Bytes that ``keep`` keeps of a row, and of each of its tokens, about."""
        rank = max(self.required_outputs.values())
        labels = len(self.labels)
        return (0, 4 * labels) if rank == 3 else (64 + 32 * labels, 0)

    @staticmethod
    def _is_one(inputs: object) -> bool:
        """Whether ``inputs`` is a single text or pair."""
        return isinstance(inputs, (str, Mapping))

    # ---- making ----

    def _check_head(self) -> None:
        """Refuse a model that has another head than the task decodes."""
        engine, bundle = self.runner.engine, self.bundle
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
        from leanbert.pipelines.misfit import refuse_model  # late: few are refused

        refuse_model(engine, bundle, self.task, wanted, self.required_outputs, fits=fits)
