"""Documents longer than the model: their parts' scores, and what these say together.

A part is a sentence (:mod:`leanbert.tokenization.sentences`) or a window of tokens
(:mod:`leanbert.tokenization.segments`); each knows where in the document it stands. The sentiment
of a document is that of ProsusAI/finBERT (``finbert/finbert.py``, ``predict``): for a sentence
``P(positive) - P(negative)``, for a document the mean over its sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from leanbert.arguments import check_choice
from leanbert.batching import Prepared
from leanbert.errors import InputError
from leanbert.numerics import Floats
from leanbert.pipelines.answers import (
    ExplainedDocument,
    Explanation,
    ScoredDocument,
    ScoredPart,
    ScoredText,
    SentenceDocument,
    WindowDocument,
)
from leanbert.pipelines.base import OptionsT, Pipeline
from leanbert.pipelines.inputs import several
from leanbert.pipelines.options import CallOptions
from leanbert.tokenization import Encodings, Segments, Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import Lazy, Many
    from leanbert.pipelines.keywords import TextClassificationKeywords as Keywords

__all__ = [
    "COMBINE",
    "SPLITS",
    "DocumentPipeline",
    "Parts",
    "Span",
    "combine_scores",
    "document_answer",
    "prepare_sentences",
    "scored_parts",
    "sentiment_score",
    "window_spans",
]

COMBINE = ("mean", "max", "length")
"""How the scores of parts become those of the document."""

SPLITS = ("sentences", "windows")
"""What the parts of a document are."""

Span = tuple[int, int]
"""The first character of a part in its document, and the one after the last."""


class Parts(NamedTuple):
    """The parts of one document."""

    text: str
    spans: Sequence[Span]
    lengths: Sequence[int]
    """Tokens of text in each part, special tokens not counted."""


class DocumentPipeline(Pipeline[OptionsT]):
    """A pipeline that scores documents part by part.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.
    """

    @overload
    def document(
        self, inputs: str, *, split: Literal["sentences"] = ..., **kwargs: Unpack[Keywords]
    ) -> SentenceDocument: ...
    @overload
    def document(
        self, inputs: str, *, split: Literal["windows"], **kwargs: Unpack[Keywords]
    ) -> WindowDocument: ...
    @overload
    def document(
        self,
        inputs: Many[str],
        *,
        split: Literal["sentences"] = ...,
        **kwargs: Unpack[Keywords],
    ) -> list[SentenceDocument]: ...
    @overload
    def document(
        self, inputs: Many[str], *, split: Literal["windows"], **kwargs: Unpack[Keywords]
    ) -> list[WindowDocument]: ...
    @overload
    def document(
        self,
        inputs: Lazy[str],
        *,
        split: Literal["sentences"] = ...,
        **kwargs: Unpack[Keywords],
    ) -> Iterator[SentenceDocument]: ...
    @overload
    def document(
        self, inputs: Lazy[str], *, split: Literal["windows"], **kwargs: Unpack[Keywords]
    ) -> Iterator[WindowDocument]: ...
    def document(self, inputs: object, *, split: str = "sentences", **kwargs: Any) -> Any:
        """Score a document, a list of them, or whatever an iterable yields, part by part.

        Args:
            inputs: a string, a list of strings, or any other iterable of them, which gives a lazy
                iterator.
            split: what the parts are: ``"sentences"``, as :mod:`leanbert.tokenization.sentences`
                splits, or ``"windows"``.
            kwargs: ``window``, the tokens of a window with the special ones, by default as many as
                the model takes; ``stride``, the tokens that a window shares with the one before,
                0 by default; ``combine``, how the parts' scores become the document's: their
                ``"mean"`` (the default), their ``"max"`` label by label, or the mean weighted by
                each part's ``"length"`` in tokens. And ``function_to_apply``, ``truncation``,
                ``max_length``, ``batch_size``, as in a call.

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
        check_choice("split", split, SPLITS)
        options: Any = self._call_options(kwargs)
        if options.text_pair is not None:
            raise InputError("text_pair: a document has no pair; leave it out")
        for name in ("window", "stride") if split == "sentences" else ():
            value = getattr(options, name)
            if value is not None:
                raise InputError(
                    f"{name} is {value}; sentences have no windows: leave it out, or pass "
                    'split="windows"'
                )
        return self._call(inputs, replace(options, _split=split))

    @overload
    def explain(
        self, inputs: str, *, label: str | None = ..., split: None = ..., **kwargs: Unpack[Keywords]
    ) -> Explanation: ...
    @overload
    def explain(
        self, inputs: str, *, split: Literal["sentences"], **kwargs: Unpack[Keywords]
    ) -> ExplainedDocument: ...
    @overload
    def explain(
        self,
        inputs: Many[str],
        *,
        label: str | None = ...,
        split: None = ...,
        **kwargs: Unpack[Keywords],
    ) -> list[Explanation]: ...
    @overload
    def explain(
        self, inputs: Many[str], *, split: Literal["sentences"], **kwargs: Unpack[Keywords]
    ) -> list[ExplainedDocument]: ...
    @overload
    def explain(
        self,
        inputs: Lazy[str],
        *,
        label: str | None = ...,
        split: None = ...,
        **kwargs: Unpack[Keywords],
    ) -> Iterator[Explanation]: ...
    @overload
    def explain(
        self, inputs: Lazy[str], *, split: Literal["sentences"], **kwargs: Unpack[Keywords]
    ) -> Iterator[ExplainedDocument]: ...
    def explain(
        self, inputs: object, *, label: str | None = None, split: str | None = None, **kwargs: Any
    ) -> Any:
        """Say what each word adds to the score of a text: the score minus that without the word.

        The words are those of :mod:`leanbert.tokenization.words`. A text of n words is scored
        n + 1 times, in batches: see :mod:`leanbert.pipelines.explaining`.

        Args:
            inputs: a string, a list of strings, or any other iterable of them, which gives a lazy
                iterator.
            label: whose score is explained; ``None`` for the best one.
            split: ``"sentences"`` explains each sentence by itself, as :meth:`document` scores it.
            kwargs: ``window``, ``stride`` and ``combine``, as in :meth:`document`, for a text that
                is longer than the model; ``function_to_apply`` and ``batch_size``, as in a call.

        Returns:
            ``{"label", "score", "words"}``; each of the words has ``word``, ``start`` and ``end``,
            in characters, and ``share``. With ``split`` what :meth:`document` returns, with the
            ``words`` of each sentence. A list of these for a list.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        from leanbert.pipelines.explaining import call_of, explained  # late: few calls explain

        options = call_of(self, self._call_options(kwargs), kwargs, label, split)
        one = isinstance(inputs, str)
        items = [inputs] if one else several(inputs)
        lazy = isinstance(items, Iterator)
        live = lazy and options.max_wait_ms is not None
        answers = explained(self, items, options, label=label, live=live)
        return next(answers) if one else answers if lazy else list(answers)

    def parts(
        self, item: tuple[Any, Sequence[Span]], encodings: Any, own: range, split: str | None
    ) -> Parts:
        """The parts of a document whose rows are ``own``: its sentences, or its windows."""
        text, spans = item
        if split != "sentences":
            return Parts(text, *window_spans(encodings, own))
        special = self.runner.tokenizer.added_tokens(pair=False)
        return Parts(text, spans, [int(encodings.lengths[i]) - special for i in own])


def combine_scores(scores: Floats, lengths: Sequence[int], how: str) -> Floats:
    """The document's scores.

    Args:
        scores: of each part.
        lengths: how much each part weighs under ``"length"``.
        how: ``"mean"`` of each label's scores, their ``"max"``, which need not sum to 1, or the
            mean weighted by ``"length"``.

    *Shape:* ``(parts, labels)`` -> ``(labels,)``.
    """
    result: Floats
    if how == "max":
        result = scores.max(axis=0)
    elif how == "length" and any(lengths):
        result = np.average(scores, axis=0, weights=lengths).astype(np.float32)
    else:
        result = scores.mean(axis=0)
    return result


def sentiment_score(labels: Sequence[str], scores: Floats) -> float | None:
    """``P(positive) - P(negative)`` by the labels' names, whatever their order and case.

    ``None`` for a model without these two labels. *Shape:* scores ``(labels,)``.
    """
    names = [label.lower() for label in labels]
    if names.count("positive") != 1 or names.count("negative") != 1:
        return None
    return float(scores[names.index("positive")] - scores[names.index("negative")])


def prepare_sentences(
    tokenizer: Tokenizer, texts: Sequence[Any], options: CallOptions, first: int
) -> Prepared[Any, Encodings]:
    """Texts with the places of their sentences; one row per sentence.

    A text without sentences, such as an empty one, is one row.
    """
    from leanbert.tokenization.sentences import sentence_spans  # late: few answers need rules

    if tokenizer.ceiling is not None:
        for i, text in enumerate(texts, first):
            tokenizer.ceiling.check_held(text, i)
    split = [(text, sentence_spans(text) or [(0, len(text))]) for text in texts]
    encodings = tokenizer.encode(
        [text[start:end] for text, spans in split for start, end in spans],
        truncation=options.truncation,
        max_length=options.max_length,
    )
    return Prepared(split, encodings, [len(spans) for _, spans in split])


def window_spans(segments: Segments, own: range) -> tuple[list[Span], list[int]]:
    """First character and the one after the last of each window, and its tokens of text."""
    spans = []
    lengths = []
    for i in own:
        place = segments.place(i)
        offsets = segments.offsets[place][~segments.special_tokens_mask[place]]
        lengths.append(len(offsets))
        span = (int(offsets[:, 0].min()), int(offsets[:, 1].max())) if len(offsets) else (0, 0)
        spans.append(span)
    return spans, lengths


def document_answer(
    labels: Sequence[str], parts: Parts, scores: Floats, *, split: str, combine: str
) -> ScoredDocument:
    """One document's answer: its label and scores, and those of each part.

    *Shape:* scores ``(parts, labels)``.
    """
    whole, found = scored_parts(labels, parts, scores, combine=combine)
    return {**whole, "sentences": found} if split == "sentences" else {**whole, "windows": found}


def scored_parts(
    labels: Sequence[str], parts: Parts, scores: Floats, *, combine: str
) -> tuple[ScoredText, list[ScoredPart]]:
    """A document's label and scores, and those of each part.

    *Shape:* scores ``(parts, labels)``.
    """
    whole = _scored(labels, combine_scores(scores, parts.lengths, combine))
    found: list[ScoredPart] = [
        {"text": parts.text[start:end], "start": start, "end": end, **_scored(labels, row)}
        for (start, end), row in zip(parts.spans, scores, strict=True)
    ]
    sentiments = [part["sentiment_score"] for part in found if part["sentiment_score"] is not None]
    if sentiments:  # all parts have one, or none has
        whole["sentiment_score"] = sum(sentiments) / len(sentiments)
    return whole, found


def _scored(labels: Sequence[str], scores: Floats) -> ScoredText:
    best = int(scores.argmax())
    return {
        "label": labels[best],
        "score": float(scores[best]),
        "scores": {label: float(value) for label, value in zip(labels, scores, strict=True)},
        "sentiment_score": sentiment_score(labels, scores),
    }
