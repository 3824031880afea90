"""``text-classification``: which label each text has, as ``transformers`` answers it.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/text_classification.py``, its oddities included: one string gives a list
with one dictionary, one text pair a bare dictionary. Long texts by windows or sentences are beyond
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from leanbert.arguments import check_count, check_text
from leanbert.engines import ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, apply_function
from leanbert.pipelines.base import NOT_GIVEN, NotGiven, Pipeline
from leanbert.pipelines.documents import (
    COMBINE,
    SPLITS,
    Span,
    check_choice,
    combine_scores,
    document_answer,
    window_spans,
)
from leanbert.segments import Segments, segment
from leanbert.sentences import sentence_spans
from leanbert.tokenization import Encodings, ModelInputs, TextInput, text_input

_FUNCTIONS = ("sigmoid", "softmax", "none")
_Sentences = tuple[str, list[Span]]
_WINDOWED = frozenset({"window", "stride", "combine"})
_Finish = Callable[[Any, Sequence[Span], Sequence[int], Floats], Any]
"""From a text, its parts' places, their tokens and their scores to its answer."""


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
    arguments = frozenset({"top_k", "function_to_apply"}) | _WINDOWED

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
                :meth:`leanbert.pipelines.encoder.Encoder.map`; ``padding`` is accepted and
                changes nothing. ``window``, ``stride`` and ``combine``, any of which scores long
                texts by windows instead of cutting them: see :meth:`document`.

        Returns:
            ``[{"label": str, "score": float}]`` for one string, a list of such dictionaries for
            a list, lists of lists with ``top_k``.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._options({"top_k": top_k, "function_to_apply": function_to_apply, **kwargs})
        found = self._dispatch(inputs, partial(self._answers, options=options))
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
            split: what the parts are: ``"sentences"`` (see :mod:`leanbert.sentences`) or
                ``"windows"``.
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
        check_choice("split", split, SPLITS)
        options = self._options({"function_to_apply": function_to_apply, **kwargs})
        how = options.get("combine", "mean")
        cut = sorted({"window", "stride"} & set(options))
        if split == "sentences" and cut:
            raise InputError(f'{" and ".join(cut)}: sentences have none; pass split="windows"')

        def finish(text: str, spans: Sequence[Span], lengths: Sequence[int], scores: Floats) -> Any:
            return document_answer(
                text, self.labels, spans, lengths, scores, split=split, combine=how
            )

        answers = self._by_sentences if split == "sentences" else self._by_windows

        def documents(items: Iterable[object]) -> Iterator[Any]:
            texts = (check_text(item, number) for number, item in enumerate(items))
            return answers(texts, finish, options)

        return self._dispatch(inputs, documents)

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

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        options = self._merged(given)
        top_k = options.get("top_k", 1)
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise InputError(f"top_k is {top_k!r}; it must be a number from 1, or None for all")
        function = options.get("function_to_apply") or self.bundle.config.default_function
        if str(function).lower() not in _FUNCTIONS:
            raise InputError(
                f"function_to_apply is {function!r}; expected one of {', '.join(_FUNCTIONS)}"
            )
        options["function_to_apply"] = str(function).lower()
        check_count("window", options.get("window"))
        stride = options.get("stride", 0)
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 0:
            raise InputError(f"stride is {stride!r}; it must be a whole number from 0")
        check_choice("combine", options.get("combine", "mean"), COMBINE)
        return options

    def _answers(self, items: Iterable[object], options: dict[str, Any]) -> Iterator[Any]:
        function = options["function_to_apply"]
        show = partial(self._ranked, top_k=options["top_k"]) if "top_k" in options else self._best

        def decode(outputs: ModelOutputs, _: ModelInputs) -> list[Any]:
            logits = outputs["logits"]
            self.bundle.check_num_labels(logits.shape[-1])
            return [show(row) for row in apply_function(function, logits)]

        def finish(_: TextInput, __: Sequence[Span], lengths: Sequence[int], scores: Floats) -> Any:
            return show(combine_scores(scores, lengths, options.get("combine", "mean")))

        if _WINDOWED & set(options):
            texts = (text_input(item, number) for number, item in enumerate(items))
            return self._by_windows(texts, finish, options)
        return self._map(items, decode, options)

    def _by_windows(
        self, texts: Iterable[TextInput], finish: _Finish, options: dict[str, Any]
    ) -> Iterator[Any]:
        def encode(part: Sequence[TextInput], first: int) -> tuple[Segments, Sequence[int]]:
            segments = segment(
                self.encoder.tokenizer,
                part,
                stride=options.get("stride", 0),
                max_length=options.get("window") or options.get("max_length"),
                first_index=first,
            )
            return segments, segments.counts

        def answer(text: TextInput, found: Segments, own: range, rows: Sequence[Floats]) -> Any:
            scores = apply_function(options["function_to_apply"], np.stack(rows))
            return finish(text, *window_spans(found, own), scores)

        return self._map_rows(texts, encode, self._logits, answer, options)

    def _by_sentences(
        self, texts: Iterable[str], finish: _Finish, options: dict[str, Any]
    ) -> Iterator[Any]:
        tokenizer = self.encoder.tokenizer
        special = tokenizer.special_tokens(pair=False)

        def encode(part: Sequence[_Sentences], _: int) -> tuple[Encodings, list[int]]:
            encodings = tokenizer.encode(
                [text[start:end] for text, spans in part for start, end in spans],
                truncation=options.get("truncation"),
                max_length=options.get("max_length"),
            )
            return encodings, [len(spans) for _, spans in part]

        def answer(item: _Sentences, found: Encodings, own: range, rows: Sequence[Floats]) -> Any:
            scores = apply_function(options["function_to_apply"], np.stack(rows))
            lengths = [len(found.ids[i]) - special for i in own]
            return finish(*item, lengths, scores)

        # A text without sentences, such as an empty one, is scored as it is.
        split = ((text, sentence_spans(text) or [(0, len(text))]) for text in texts)
        return self._map_rows(split, encode, self._logits, answer, options)

    def _best(self, scores: Floats) -> dict[str, Any]:
        best = int(scores.argmax())
        return {"label": self.labels[best], "score": float(scores[best])}

    def _ranked(self, scores: Floats, top_k: int | None) -> list[dict[str, Any]]:
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"label": self.labels[i], "score": float(scores[i])} for i in order]
