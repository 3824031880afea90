"""``question-answering``: the span of a context that answers a question.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/question_answering.py``: one question gives a dictionary, several give a
list, and ``top_k`` a list for each where more than one answer is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, overload

import numpy as np

from leanbert.arguments import check_count, check_flag
from leanbert.batching import Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, is_finite
from leanbert.pipelines.answers import Answer, Answers, ExtractedT
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.options import NOT_GIVEN, CallOptions
from leanbert.pipelines.spans import SpanReader
from leanbert.tokenization import Segments, segment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import Lazy, Many
    from leanbert.pipelines.keywords import QuestionAnsweringKeywords as Keywords

__all__ = ["QuestionAnsweringOptions", "QuestionAnsweringPipeline"]

Question: TypeAlias = "tuple[str, str]"
"""A question and its context."""
QuestionInput: TypeAlias = "Mapping[str, Any]"
"""``{"question": …, "context": …}``; other keys change nothing."""

_DOC_STRIDE = 128
"""Tokens that windows share at most where a call does not say."""


@dataclass(frozen=True)
class QuestionAnsweringOptions(CallOptions):
    """The arguments of a call: see :meth:`QuestionAnsweringPipeline.__call__`."""

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int = 384
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    aliases: ClassVar[Mapping[str, str]] = {"topk": "top_k"}
    ignored: ClassVar[frozenset[str]] = CallOptions.ignored | {"max_question_len"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("top_k", "max_answer_len", "max_seq_len"):
            check_count(name, getattr(self, name))
        check_count("doc_stride", self.doc_stride, least=0)
        check_flag("handle_impossible_answer", self.handle_impossible_answer)
        check_flag("align_to_words", self.align_to_words)


class QuestionAnsweringPipeline(Pipeline[QuestionAnsweringOptions], Generic[ExtractedT]):
    """Answer questions with spans of the contexts that come with them.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.
    """

    task = "question-answering"
    required_outputs = {"start_logits": 2, "end_logits": 2}  # noqa: RUF012 - read-only by its type
    options_type = QuestionAnsweringOptions

    @overload
    def __call__(
        self, *, question: str, context: str, **kwargs: Unpack[Keywords]
    ) -> ExtractedT: ...
    @overload
    def __call__(
        self, *, question: str, context: str, top_k: Literal[1], **kwargs: Unpack[Keywords]
    ) -> Answer: ...
    @overload
    def __call__(
        self, *, question: str, context: str, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> Answers: ...
    @overload
    def __call__(self, inputs: str, context: str, /, **kwargs: Unpack[Keywords]) -> ExtractedT: ...
    @overload
    def __call__(
        self, inputs: str, context: str, /, *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> Answers: ...
    @overload
    def __call__(
        self,
        *,
        question: Sequence[str],
        context: str | Sequence[str],
        **kwargs: Unpack[Keywords],
    ) -> list[ExtractedT] | Any: ...
    @overload
    def __call__(
        self,
        *,
        question: Sequence[str],
        context: str | Sequence[str],
        top_k: int | None,
        **kwargs: Unpack[Keywords],
    ) -> list[Answers] | Any: ...
    @overload
    def __call__(self, inputs: QuestionInput, **kwargs: Unpack[Keywords]) -> ExtractedT: ...
    @overload
    def __call__(
        self, inputs: QuestionInput, *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> Answers: ...
    @overload
    def __call__(
        self, inputs: Many[QuestionInput], **kwargs: Unpack[Keywords]
    ) -> list[ExtractedT] | Any: ...
    @overload
    def __call__(
        self, inputs: Many[QuestionInput], *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> list[Answers] | Any: ...
    @overload
    def __call__(
        self, inputs: Lazy[QuestionInput], **kwargs: Unpack[Keywords]
    ) -> Iterator[ExtractedT]: ...
    @overload
    def __call__(
        self, inputs: Lazy[QuestionInput], *, top_k: int | None, **kwargs: Unpack[Keywords]
    ) -> Iterator[Answers]: ...
    def __call__(
        self,
        inputs: object = NOT_GIVEN,
        *more: object,
        question: object = NOT_GIVEN,
        context: object = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Answer one question, several, or whatever an iterable yields.

        Args:
            inputs: ``{"question": …, "context": …}``, a list of these, or any other iterable of
                them, which gives a lazy iterator; or a question, with its context as the second.
            more: that context, or more dictionaries.
            question: one or a list, instead of ``inputs``.
            context: one for all questions, or a list of as many.
            top_k: how many answers to give, best first, where the context has as many.
            doc_stride: tokens that two windows of a long context share; by default half a window,
                at most 128.
            max_answer_len: longest answer in tokens; by default 15.
            max_seq_len: tokens of a window, the question included; by default 384, or the model's
                own limit if that is less.
            handle_impossible_answer: let the empty answer compete, with the probability that the
                model gives to it in the least sure window.
            align_to_words: widen answers to whole words.
            kwargs: ``batch_size``: see :class:`~leanbert.pipelines.options.CallOptions`.
                ``topk`` is the old name of ``top_k``; ``max_question_len``, ``padding`` and
                ``truncation`` are accepted and change nothing, as with transformers' fast
                tokenizers.

        Returns:
            For a question ``{"score": float, "start": int, "end": int, "answer": str}`` with
            characters of the context, or a list of these where ``top_k`` finds more than one; a
            list of one of both for each of several questions. Where the context has nothing, the
            answer is empty and its score 0.

        Raises:
            InputError: an input or an argument cannot be used, or a question alone fills a window.
        """
        options = self._call_options(kwargs)
        asked = _asked(inputs, more, question, context)
        if not isinstance(asked, list):
            return self._call(asked, options)
        for i, item in enumerate(asked):
            _question(item, i, empty=False)
        return self._call(asked[0] if len(asked) == 1 else asked, options)

    if TYPE_CHECKING:  # the base has it; here are its types

        @overload
        def stream(
            self, inputs: Lazy[QuestionInput], **kwargs: Unpack[Keywords]
        ) -> Iterator[ExtractedT]: ...
        @overload
        def stream(
            self, inputs: Lazy[QuestionInput], *, top_k: int | None, **kwargs: Unpack[Keywords]
        ) -> Iterator[Answers]: ...
        def stream(self, inputs: Any, *args: Any, **kwargs: Any) -> Iterator[Any]: ...  # noqa: D102

    def _prepare(self) -> None:
        tokenizer = self.runner.tokenizer
        self._question_first = tokenizer.padding_side == "right"
        self._reader = SpanReader(
            sequence_id=int(self._question_first),
            cls_token_id=tokenizer.special_tokens.id("cls_token"),
        )

    def _completed(self, options: QuestionAnsweringOptions) -> QuestionAnsweringOptions:
        length = min(options.max_seq_len, self.bundle.max_length)
        check_count("doc_stride", options.doc_stride, length, least=0, bound="max_seq_len")
        stride = options.doc_stride
        if stride is None:
            stride = min(length // 2, _DOC_STRIDE)
        return replace(options, max_seq_len=length, doc_stride=stride)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: QuestionAnsweringOptions
    ) -> Prepared[Question, Segments]:
        """One row for each window of a context: see :meth:`Pipeline.preprocess`."""
        questions = [_question(item, i) for i, item in enumerate(inputs, first)]
        segments = segment(
            self.runner.tokenizer,
            [pair if self._question_first else (pair[1], pair[0]) for pair in questions],
            stride=options.doc_stride,
            max_length=options.max_seq_len,
            strategy="only_second" if self._question_first else "only_first",
            first_index=first,
        )
        return Prepared(questions, segments, segments.counts)

    def keep(
        self,
        outputs: ModelOutputs,
        batch: Batch,
        options: QuestionAnsweringOptions,
    ) -> list[Floats | None]:
        """The logits of starts and ends. *Shape:* for each window ``(2, tokens)``."""
        both = np.stack([outputs["start_logits"], outputs["end_logits"]])
        windows = [both[:, batch.place(i)].copy() for i in range(len(batch))]
        return [window if is_finite(window) else None for window in windows]

    def _weights(self, options: QuestionAnsweringOptions) -> tuple[int, int]:
        return 0, 8

    def postprocess(
        self,
        item: Question,
        encodings: Segments,
        own: range,
        kept: Sequence[Floats],
        options: QuestionAnsweringOptions,
    ) -> Answer | list[Answer]:
        """A question's answer, or several in a list: see :meth:`Pipeline.postprocess`."""
        return self._reader.read(
            item[1],
            encodings,
            own,
            kept,
            top_k=options.top_k,
            max_answer_len=options.max_answer_len,
            align_to_words=options.align_to_words,
            handle_impossible_answer=options.handle_impossible_answer,
        )


def _asked(inputs: object, more: tuple[object, ...], question: object, context: object) -> object:
    """The questions of a call: a list, or an iterable to be answered lazily."""
    if inputs is not NOT_GIVEN:
        if question is not NOT_GIVEN or context is not NOT_GIVEN:
            raise InputError("pass question and context, or dictionaries of them, not both")
        if more:
            if isinstance(inputs, str) and len(more) == 1:
                return [{"question": inputs, "context": more[0]}]
            return [inputs, *more]
        if isinstance(inputs, Mapping):
            return [inputs]
        return list(inputs) if isinstance(inputs, tuple) else inputs
    if question is NOT_GIVEN or context is NOT_GIVEN:
        raise InputError('pass question and context, or {"question": …, "context": …}')
    if isinstance(question, str):
        return [{"question": question, "context": context}]
    if not isinstance(question, (list, tuple)):
        raise InputError(f"question is {type(question).__name__}; expected a string or a list")
    contexts = [context] * len(question) if isinstance(context, str) else context
    if not isinstance(contexts, (list, tuple)) or len(contexts) != len(question):
        raise InputError("question and context are of different lengths; give one context for all")
    return [{"question": q, "context": c} for q, c in zip(question, contexts, strict=True)]


def _question(item: object, index: int, *, empty: bool = True) -> Question:
    """One of the caller's items; its other keys, such as SQuAD's ``id``, are of no concern.

    Empty parts are refused only where transformers refuses them.

    Raises:
        InputError: it is no question.
    """
    if not isinstance(item, Mapping):
        raise InputError(
            f'text {index}: expected {{"question": "…", "context": "…"}}, got {type(item).__name__}'
        )
    parts = []
    for name in ("question", "context"):
        part = item.get(name)
        if not isinstance(part, str):
            raise InputError(
                f"text {index}: {name} is {type(part).__name__ if name in item else 'missing'}; "
                "expected a string"
            )
        if not part and not empty:
            raise InputError(f"text {index}: {name} is empty")
        parts.append(part)
    return parts[0], parts[1]
