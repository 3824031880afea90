"""``text-classification``: which label each text has, as ``transformers`` answers it.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/text_classification.py``, its oddities included: one string gives a list
with one dictionary, one text pair a bare dictionary. Long texts by windows or sentences are beyond
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, overload

import numpy as np

from leanbert.arguments import check_choice, check_count, check_flag, check_text
from leanbert.batching import Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError, warn
from leanbert.numerics import FUNCTIONS
from leanbert.pipelines.answers import (
    ClassifiedT,
    LabelScore,
)
from leanbert.pipelines.documents import (
    COMBINE,
    DocumentPipeline,
    Span,
    combine_scores,
    document_answer,
    prepare_sentences,
)
from leanbert.pipelines.options import NOT_GIVEN, CallOptions, NotGiven
from leanbert.scores import rows_of_scores
from leanbert.tokenization import Encodings, TextInput, segment, text_input

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import Lazy, Many, TextPair
    from leanbert.pipelines.keywords import TextClassificationKeywords as Keywords

__all__ = ["TextClassificationOptions", "TextClassificationPipeline"]

_Text: TypeAlias = "tuple[TextInput, list[Span]]"
"""A text or pair, and where its sentences stand, if it is read by sentences."""


@dataclass(frozen=True)
class TextClassificationOptions(CallOptions):
    """The arguments of a call: see :meth:`TextClassificationPipeline.__call__`."""

    top_k: int | NotGiven | None = NOT_GIVEN
    """How many labels, best first; ``None`` for all; not given: the best one, without a list."""
    function_to_apply: str | None = None
    """From logits to scores; ``None`` for what the config asks for."""
    window: int | None = None
    """Tokens of a window, special tokens included; ``None`` for as many as the model takes."""
    stride: int | None = None
    """Tokens that a window shares with the one before; ``None`` for 0."""
    combine: str | None = None
    """One of :data:`~leanbert.pipelines.documents.COMBINE`; ``None`` for ``"mean"``."""
    text_pair: str | None = None
    """The pair of every text."""
    _split: str | None = None
    """Of a document: one of :data:`~leanbert.pipelines.documents.SPLITS`; ``None`` for a call."""

    aliases: ClassVar[Mapping[str, str]] = {"return_all_scores": "top_k"}
    nullable: ClassVar[frozenset[str]] = CallOptions.nullable | {"top_k"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k is not NOT_GIVEN:
            check_count("top_k", self.top_k)
        if self.function_to_apply is not None:
            check_choice("function_to_apply", self.function_to_apply, FUNCTIONS)
        check_count("window", self.window)
        check_count("stride", self.stride, least=0)
        if self.combine is not None:
            check_choice("combine", self.combine, COMBINE)
        if self.text_pair is not None and not isinstance(self.text_pair, str):
            raise InputError(f"text_pair is {self.text_pair!r}; expected a string for every text")

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """See :meth:`CallOptions.canonical`; the deprecated ``return_all_scores`` is a ``top_k``.

        transformers takes the function in capitals, too.
        """
        found = super().canonical(given, task)
        everything = given.get("return_all_scores")
        if everything is not None and "top_k" not in given:
            check_flag("return_all_scores", everything)
            meant = "top_k=None" if everything else "no top_k"
            warn(f"return_all_scores is deprecated, as in transformers; pass {meant}")
            found["top_k"] = None if everything else NOT_GIVEN
        if isinstance(found.get("function_to_apply"), str):
            found["function_to_apply"] = found["function_to_apply"].lower()
        return found

    @property
    def by_windows(self) -> bool:
        """Whether long texts are scored window by window instead of being cut."""
        if self._split is not None:
            return self._split == "windows"
        return (self.window, self.stride, self.combine) != (None, None, None)


class TextClassificationPipeline(DocumentPipeline[TextClassificationOptions], Generic[ClassifiedT]):
    """Score texts or text pairs against the model's labels.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.
    """

    task = "text-classification"
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    options_type = TextClassificationOptions

    @overload
    def __call__(self, inputs: str, **kwargs: Unpack[Keywords]) -> list[ClassifiedT]: ...
    @overload
    def __call__(
        self, inputs: str | TextPair, *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> list[LabelScore]: ...
    @overload
    def __call__(self, inputs: TextPair, **kwargs: Unpack[Keywords]) -> ClassifiedT: ...
    @overload
    def __call__(
        self, inputs: Many[str | TextPair], *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> list[list[LabelScore]]: ...
    @overload
    def __call__(
        self, inputs: Many[str | TextPair], **kwargs: Unpack[Keywords]
    ) -> list[ClassifiedT]: ...
    @overload
    def __call__(
        self, inputs: Lazy[str | TextPair], *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> Iterator[list[LabelScore]]: ...
    @overload
    def __call__(
        self, inputs: Lazy[str | TextPair], **kwargs: Unpack[Keywords]
    ) -> Iterator[ClassifiedT]: ...
    def __call__(self, inputs: object, **kwargs: Any) -> Any:
        """Classify one text, a list of texts, or whatever an iterable yields.

        Args:
            inputs: a string, ``{"text": …, "text_pair": …}``, a list of these, or any other
                iterable of them, which gives a lazy iterator.
            top_k: how many labels, best first; ``None`` for all. If not given, the best one,
                not wrapped in a list of its own.
            function_to_apply: ``"sigmoid"``, ``"softmax"`` or ``"none"``; by default what the
                config's ``problem_type`` asks for.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`; ``padding`` is accepted and
                changes nothing. ``window``, ``stride`` and ``combine``, any of which scores long
                texts by windows instead of cutting them: see :meth:`document`.

        Returns:
            ``[{"label": str, "score": float}]`` for one string, a list of such dictionaries for
            a list, lists of lists with ``top_k``.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        found = self._call(inputs, self._call_options(kwargs))
        return [found] if isinstance(inputs, str) and "top_k" not in kwargs else found

    if TYPE_CHECKING:  # the base has it; here are its types

        @overload
        def stream(
            self, inputs: Lazy[str | TextPair], *, top_k: int | None, **kwargs: Unpack[Keywords]
        ) -> Iterator[list[LabelScore]]: ...
        @overload
        def stream(
            self, inputs: Lazy[str | TextPair], **kwargs: Unpack[Keywords]
        ) -> Iterator[ClassifiedT]: ...
        def stream(self, inputs: Any, *args: Any, **kwargs: Any) -> Iterator[Any]: ...  # noqa: D102

    def _prepare(self) -> None:
        if self.bundle.config.raw.get("return_all_scores") and "top_k" not in self._defaults:
            warn(
                f"{self.bundle.path / 'config.json'}: return_all_scores is ignored, as "
                "transformers 5 does; pass top_k=None for the scores of all labels"
            )
        self._function = self.bundle.config.default_function.lower()
        check_choice("function_to_apply", self._function, FUNCTIONS)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: TextClassificationOptions
    ) -> Prepared[_Text, Encodings]:
        """One row per text, or one per window or sentence: see :meth:`Pipeline.preprocess`."""
        read = text_input if options._split is None else check_text
        texts: list[TextInput] = [read(item, i) for i, item in enumerate(inputs, first)]
        if options.text_pair:
            texts = [_paired(text, options.text_pair, i) for i, text in enumerate(texts, first)]
        tokenizer = self.runner.tokenizer
        if options._split == "sentences":
            return prepare_sentences(tokenizer, texts, options, first)
        items: list[_Text] = [(text, []) for text in texts]
        if options.by_windows:
            if options.window is not None:
                tokenizer.room("window", options.window)
            segments = segment(
                tokenizer,
                texts,
                stride=options.stride or 0,
                max_length=options.window or options.max_length,
                in_text_order=True,
                first_index=first,
            )
            return Prepared(items, segments, segments.counts)
        encodings = tokenizer.encode(
            texts,
            truncation=options.truncation,
            max_length=options.max_length,
            strategy=options._strategy,
            first_index=first,
        )
        return Prepared(items, encodings)

    def keep(
        self,
        outputs: ModelOutputs,
        batch: Batch,
        options: TextClassificationOptions,
    ) -> list[list[float] | None]:
        """The labels' scores."""
        logits = outputs["logits"]
        self.bundle.check_num_labels(logits.shape[-1])
        return rows_of_scores(options.function_to_apply or self._function, logits)

    def postprocess(
        self,
        item: _Text,
        encodings: Encodings,
        own: range,
        kept: Sequence[list[float]],
        options: TextClassificationOptions,
    ) -> Any:
        """The best label, several, or a document's answer: see :meth:`Pipeline.postprocess`."""
        if options._split is None and not options.by_windows:
            return self._labelled(kept[0], options)
        scores = np.array(kept, dtype=np.float32)
        parts = self.parts(item, encodings, own, options._split)
        how = options.combine or "mean"
        if options._split is not None:
            return document_answer(self.labels, parts, scores, split=options._split, combine=how)
        return self._labelled(combine_scores(scores, parts.lengths, how).tolist(), options)

    def _labelled(
        self, scores: list[float], options: TextClassificationOptions
    ) -> LabelScore | list[LabelScore]:
        """The best label, or under ``top_k`` a list of the best ones."""
        if options.top_k is NOT_GIVEN:
            best = max(scores)
            return {"label": self.labels[scores.index(best)], "score": best}
        best_first = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        return [{"label": self.labels[i], "score": scores[i]} for i in best_first[: options.top_k]]


def _paired(text: TextInput, pair: str, number: int) -> tuple[str, str]:
    """A text with the call's ``text_pair``.

    Raises:
        InputError: it has a pair already.
    """
    if not isinstance(text, str):
        raise InputError(f"text {number}: has a pair of its own, and text_pair gives another")
    return (text, pair)
