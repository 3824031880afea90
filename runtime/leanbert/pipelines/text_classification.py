"""``text-classification``: which label each text has, as ``transformers`` answers it.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/text_classification.py``, its oddities included: one string gives a list
with one dictionary, one text pair a bare dictionary. Long texts by windows or sentences are beyond
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from leanbert.arguments import check_choice, check_count, check_stride, check_text
from leanbert.batching import Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import apply_function
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.documents import (
    COMBINE,
    SPLITS,
    Span,
    combine_scores,
    document_answer,
    window_spans,
)
from leanbert.pipelines.options import NOT_GIVEN, CallOptions, NotGiven, given
from leanbert.tokenization import Encodings, TextInput, segment, text_input
from leanbert.tokenization.sentences import sentence_spans

__all__ = ["TextClassificationOptions", "TextClassificationPipeline"]

_FUNCTIONS = ("sigmoid", "softmax", "none")

_Text: TypeAlias = "tuple[TextInput, list[Span]]"
"""A text or pair, and where its sentences stand, if it is read by sentences."""


@dataclass(frozen=True)
class TextClassificationOptions(CallOptions):
    """The arguments of a call.

    Raises:
        InputError: a value cannot be used.
    """

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
    split: str | None = None
    """Of a document: one of :data:`~leanbert.pipelines.documents.SPLITS`; ``None`` for a call."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k is not NOT_GIVEN and self.top_k is not None:
            whole = isinstance(self.top_k, int) and not isinstance(self.top_k, bool)
            if not whole or self.top_k < 1:
                raise InputError(
                    f"top_k is {self.top_k!r}; it must be a number from 1, or None for all"
                )
        if self.function_to_apply is not None:
            function = str(self.function_to_apply).lower()
            if function not in _FUNCTIONS:
                raise InputError(
                    f"function_to_apply is {self.function_to_apply!r}; expected one of "
                    f"{', '.join(_FUNCTIONS)}"
                )
            object.__setattr__(self, "function_to_apply", function)
        check_count("window", self.window)
        check_stride("stride", self.stride)
        if self.combine is not None:
            check_choice("combine", self.combine, COMBINE)
        if self.split is not None:
            check_choice("split", self.split, SPLITS)
        cut = [name for name in ("stride", "window") if getattr(self, name) is not None]
        if self.split == "sentences" and cut:
            raise InputError(f'{" and ".join(cut)}: sentences have none; pass split="windows"')

    @property
    def by_windows(self) -> bool:
        """Whether long texts are scored window by window instead of being cut."""
        if self.split is not None:
            return self.split == "windows"
        return (self.window, self.stride, self.combine) != (None, None, None)


class TextClassificationPipeline(Pipeline):
    """Score texts or text pairs against the model's labels.

    Args:
        bundle: a bundle exported for text-classification.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "text-classification"
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    options_type = TextClassificationOptions

    def __call__(
        self,
        inputs: object,
        *,
        top_k: int | NotGiven | None = NOT_GIVEN,
        function_to_apply: str | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
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
        options = self._call_options(
            given(top_k=top_k, function_to_apply=function_to_apply, **kwargs)
        )
        found = self._call(inputs, options)
        return [found] if isinstance(inputs, str) and top_k is NOT_GIVEN else found

    def document(
        self,
        inputs: object,
        *,
        split: str = "sentences",
        function_to_apply: str | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Score a document, a list of them, or whatever an iterable yields, part by part.

        Args:
            inputs: a string, a list of strings, or any other iterable of them, which gives a lazy
                iterator.
            split: what the parts are: ``"sentences"`` or
                ``"windows"``; sentences are those of :mod:`leanbert.tokenization.sentences`.
            function_to_apply: as in a call.
            kwargs: ``window``, the tokens of a window with the special ones, by default as many as
                the model takes; ``stride``, the tokens that a window shares with the one before,
                0 by default; ``combine``, how the parts' scores become the document's: their
                ``"mean"`` (the default), their ``"max"`` label by label, or the mean weighted by
                each part's ``"length"`` in tokens. And ``truncation``, ``max_length``,
                ``batch_size``, as in a call.

        Returns:
            ``{"label", "score", "scores", "sentiment_score"}`` and under the name of ``split`` the
            parts, which have these keys and ``text``, ``start`` and ``end``, in characters.
            ``scores`` has all labels in the model's order. ``sentiment_score`` is
            ``P(positive) - P(negative)``, for the document its mean over the parts, and ``None``
            where the model has no labels of these names, in whatever case and order. A list of
            these for a list.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._call_options(
            given(split=split, function_to_apply=function_to_apply, **kwargs)
        )
        return self._call(inputs, options)

    @staticmethod
    def _is_one(inputs: object) -> bool:
        """A text or pair, or ``[[text, pair]]``, which transformers still reads as one pair."""
        old_pair = (
            isinstance(inputs, list)
            and len(inputs) == 1
            and isinstance(inputs[0], list)
            and len(inputs[0]) == 2
        )
        return old_pair or isinstance(inputs, (str, Mapping))

    def _completed(self, options: TextClassificationOptions) -> TextClassificationOptions:
        if options.function_to_apply is not None:
            return options
        return replace(options, function_to_apply=self.bundle.config.default_function)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: TextClassificationOptions
    ) -> Prepared[_Text, Encodings]:
        """One row per text, or one per window or sentence: see :meth:`Pipeline.preprocess`."""
        read = text_input if options.split is None else check_text
        texts: list[TextInput] = [read(item, i) for i, item in enumerate(inputs, first)]
        tokenizer = self.runner.tokenizer
        if options.split == "sentences":
            return self._sentences(texts, options)
        items: list[_Text] = [(text, []) for text in texts]
        if options.by_windows:
            segments = segment(
                tokenizer,
                texts,
                stride=options.stride or 0,
                max_length=options.window or options.max_length,
                first_index=first,
            )
            return Prepared(items, segments, segments.counts)
        encodings = tokenizer.encode(
            texts,
            truncation=options.truncation,
            max_length=options.max_length,
            first_index=first,
        )
        return Prepared(items, encodings)

    def keep(
        self,
        outputs: ModelOutputs,
        batch: Batch,  # noqa: ARG002 - others need it
        options: TextClassificationOptions,
    ) -> list[list[float]]:
        """The labels' scores."""
        logits = outputs["logits"]
        self.bundle.check_num_labels(logits.shape[-1])
        scores: list[list[float]] = apply_function(
            options.function_to_apply or "none", logits
        ).tolist()
        return scores

    def postprocess(
        self,
        item: _Text,
        encodings: Encodings,
        own: range,
        kept: Sequence[list[float]],
        options: TextClassificationOptions,
    ) -> Any:
        """The best label, several, or a document's answer: see :meth:`Pipeline.postprocess`."""
        scores = kept[0]
        if options.split is not None or options.by_windows:
            return self._from_parts(item, encodings, own, kept, options)
        if options.top_k is NOT_GIVEN:
            best = max(scores)
            return {"label": self.labels[scores.index(best)], "score": best}
        return self._ranked(scores, options.top_k)

    def _sentences(
        self, texts: Iterable[Any], options: TextClassificationOptions
    ) -> Prepared[_Text, Encodings]:
        # A text without sentences, such as an empty one, is scored as it is.
        split = [(text, sentence_spans(text) or [(0, len(text))]) for text in texts]
        encodings = self.runner.tokenizer.encode(
            [text[start:end] for text, spans in split for start, end in spans],
            truncation=options.truncation,
            max_length=options.max_length,
        )
        items: list[_Text] = list(split)
        return Prepared(items, encodings, [len(spans) for _, spans in split])

    def _from_parts(
        self,
        item: _Text,
        encodings: Any,
        own: range,
        kept: Sequence[list[float]],
        options: TextClassificationOptions,
    ) -> Any:
        """The answer that the scores of sentences or windows give together."""
        text, spans = item
        scores = np.array(kept, dtype=np.float32)
        how = options.combine or "mean"
        if options.split == "sentences":
            special = self.runner.tokenizer.added_tokens(pair=False)
            lengths = [int(encodings.lengths[i]) - special for i in own]
        else:
            spans, lengths = window_spans(encodings, own)
        if options.split is not None:
            return document_answer(
                str(text), self.labels, spans, lengths, scores, split=options.split, combine=how
            )
        combined: list[float] = combine_scores(scores, lengths, how).tolist()
        if options.top_k is NOT_GIVEN:
            best = max(combined)
            return {"label": self.labels[combined.index(best)], "score": best}
        return self._ranked(combined, options.top_k)

    def _ranked(self, scores: Sequence[float], top_k: int | None) -> list[dict[str, Any]]:
        order = sorted(range(len(scores)), key=lambda i: -scores[i])[:top_k]
        return [{"label": self.labels[i], "score": scores[i]} for i in order]
