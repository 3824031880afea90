"""``question-answering``: the span of a context that answers a question.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/question_answering.py``: one question gives a dictionary, several give a
list, and ``top_k`` a list for each where more than one answer is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from leanbert.arguments import check_count, check_stride
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, softmax
from leanbert.pipelines.closures import ClosurePipeline
from leanbert.pipelines.options import NOT_GIVEN, NotGiven
from leanbert.tokenization import Segments, segment

__all__ = ["QuestionAnsweringPipeline"]

Question: TypeAlias = "tuple[str, str]"
"""A question and its context."""

_MAX_SEQ_LEN = 384
_DOC_STRIDE = 128
_MAX_ANSWER_LEN = 15
_MASKED = np.float32(-10000.0)


class QuestionAnsweringPipeline(ClosurePipeline):
    """Answer questions with spans of the contexts that come with them.

    Args:
        bundle: a bundle exported for question-answering.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "question-answering"
    required_outputs = {"start_logits": 2, "end_logits": 2}  # noqa: RUF012 - read-only by its type
    arguments = frozenset(
        {"top_k", "topk", "doc_stride", "max_answer_len", "max_seq_len", "max_question_len"}
        | {"handle_impossible_answer", "align_to_words"}
    )

    def __call__(
        self,
        inputs: object = NOT_GIVEN,
        *more: object,
        question: str | Sequence[str] | NotGiven = NOT_GIVEN,
        context: str | Sequence[str] | NotGiven = NOT_GIVEN,
        top_k: int | NotGiven = NOT_GIVEN,
        doc_stride: int | NotGiven | None = NOT_GIVEN,
        max_answer_len: int | NotGiven = NOT_GIVEN,
        max_seq_len: int | NotGiven | None = NOT_GIVEN,
        handle_impossible_answer: bool | NotGiven = NOT_GIVEN,
        align_to_words: bool | NotGiven = NOT_GIVEN,
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
        options = self._options(
            {
                "top_k": top_k,
                "doc_stride": doc_stride,
                "max_answer_len": max_answer_len,
                "max_seq_len": max_seq_len,
                "handle_impossible_answer": handle_impossible_answer,
                "align_to_words": align_to_words,
                **kwargs,
            }
        )
        asked = _asked(inputs, more, question, context)
        if not isinstance(asked, list):
            return self._dispatch(asked, partial(self._answers, options=options))
        for i, item in enumerate(asked):
            _question(item, i, empty=False)
        answers = list(self._answers(asked, options))
        return answers[0] if len(answers) == 1 else answers

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        options = {name: value for name, value in self._merged(given).items() if value is not None}
        options.setdefault("top_k", options.get("topk", 1))
        options.setdefault("max_answer_len", _MAX_ANSWER_LEN)
        for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len"):
            check_count(name, options.get(name))
        longest = self.bundle.max_length
        length = min(options.get("max_seq_len", _MAX_SEQ_LEN), longest)
        stride = options.setdefault("doc_stride", min(length // 2, _DOC_STRIDE))
        check_stride("doc_stride", stride, length, "max_seq_len")
        options["max_seq_len"] = length
        return options

    def _answers(self, items: Iterable[object], options: dict[str, Any]) -> Iterator[Any]:
        questions = (_question(item, i) for i, item in enumerate(items))
        tokenizer = self.runner.tokenizer
        question_first = tokenizer.padding_side == "right"
        finder = _Finder(options, tokenizer.special_tokens.id("cls_token"), int(question_first))

        def encode(part: Sequence[Question], start: int) -> tuple[Segments, Sequence[int]]:
            segments = segment(
                tokenizer,
                [pair if question_first else (pair[1], pair[0]) for pair in part],
                stride=options["doc_stride"],
                max_length=options["max_seq_len"],
                strategy="only_second" if question_first else "only_first",
                first_index=start,
            )
            return segments, segments.counts

        def reduce(outputs: ModelOutputs, batch: Batch) -> list[Floats]:
            both = np.stack([outputs["start_logits"], outputs["end_logits"]])
            return [both[:, batch.place(i)].copy() for i in range(len(batch))]

        return self._map_rows(questions, encode, reduce, finder.answers, options)


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
    """One of the caller's items; empty parts are refused only where transformers refuses them.

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
    if set(item) - {"question", "context"}:
        raise InputError(
            f'text {index}: expected {{"question": "…", "context": "…"}}, '
            f"got the keys {sorted(map(str, item))}"
        )
    return parts[0], parts[1]


class _Finder:
    """Finds the best spans in the start and end logits of a question's windows.

    Args:
        options: of the call, complete.
        cls_token_id: the token that stands for no answer.
        sequence_id: which part of the pair is the context.
    """

    def __init__(self, options: dict[str, Any], cls_token_id: int | None, sequence_id: int) -> None:
        self._top_k: int = options["top_k"]
        self._align: bool = options.get("align_to_words", True)
        self._impossible: bool = options.get("handle_impossible_answer", False)
        self._max_answer_len: int = options["max_answer_len"]
        self._cls = -1 if cls_token_id is None else cls_token_id
        self._sequence_id = sequence_id

    def answers(
        self, question: Question, segments: Segments, own: range, logits: Sequence[Floats]
    ) -> Any:
        """A dictionary, or a list where there is more than one.

        *Shape:* logits ``(2, tokens)`` for each window.
        """
        context = question[1]
        found: dict[str, dict[str, Any]] = {}
        null_score = 1e6
        for i, window in zip(own, logits, strict=True):
            place = segments.place(i)
            allowed = segments.sequence_ids[place] == self._sequence_id
            allowed |= segments.input_ids[place] == self._cls
            scores = softmax(np.where(allowed, window, _MASKED))
            null_score = min(null_score, float(scores[0, 0] * scores[1, 0]))
            scores[:, 0] = 0.0
            # Some spans become the same words: look at more than are asked for.
            number = self._top_k * 2 + 10 if self._align else self._top_k
            for start, end, score in _best_spans(scores, number, self._max_answer_len):
                span = self._characters(segments, i, start, end)
                text = context[slice(*span)]
                same = found.get(text.lower())
                if same is None:
                    first, last = span
                    found[text.lower()] = {
                        "score": score, "start": first, "end": last, "answer": text
                    }  # fmt: skip
                else:
                    same["score"] += score
        answers = list(found.values())
        if self._impossible:
            answers.append({"score": null_score, "start": 0, "end": 0, "answer": ""})
        elif not answers:
            answers.append({"score": 0.0, "start": 0, "end": 0, "answer": ""})
        answers.sort(key=lambda answer: -answer["score"])
        return answers[0] if len(answers) == 1 or self._top_k == 1 else answers[: self._top_k]

    def _characters(self, segments: Segments, i: int, start: int, end: int) -> tuple[int, int]:
        """The characters of a span of tokens, or of the words that it touches."""
        place = segments.place(i)
        offsets, words = segments.offsets[place], segments.word_ids[place]
        if self._align and words[start] >= 0 and words[end] >= 0:
            inside = segments.sequence_ids[place] == self._sequence_id
            firsts = np.flatnonzero(inside & (words == words[start]))
            lasts = np.flatnonzero(inside & (words == words[end]))
            if firsts.size and lasts.size:
                start, end = firsts[0], lasts[-1]
        return int(offsets[start, 0]), int(offsets[end, 1])


def _best_spans(
    scores: Floats, number: int, max_answer_len: int
) -> Iterator[tuple[int, int, float]]:
    """The spans of the largest start times end probability, best first; none of probability 0.

    *Shape:* scores ``(2, tokens)``.
    """
    tokens = scores.shape[1]
    width = min(max_answer_len, tokens)
    ends = np.zeros(tokens + width - 1, np.float32)
    ends[:tokens] = scores[1]
    # products[s, d] is the span from s to s + d: of the whole square, the band that may be.
    products: npt.NDArray[np.float32] = scores[0][
        :, None
    ] * np.lib.stride_tricks.sliding_window_view(ends, width)
    flat = products.ravel()
    if number < flat.size:
        chosen = np.argpartition(-flat, number)[:number]
        chosen = np.sort(chosen)
    else:
        chosen = np.arange(flat.size)
    for place in chosen[np.argsort(-flat[chosen], kind="stable")].tolist():
        if flat[place] > 0:
            start, length = divmod(place, width)
            yield start, start + length, float(flat[place])
