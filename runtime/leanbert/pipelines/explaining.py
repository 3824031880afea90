"""What each word of a text adds to its score: the text is scored again without the word.

This is erasure (Li, Monroe and Jurafsky 2016, "Understanding Neural Networks through
Representation Erasure"), here of a word's tokens. The share of a word is the score of the whole
text minus the score without it, so it is positive where the word speaks for the label. The shares
need not sum to the score, since words work together.

A text of n words is n + 1 rows, which share batches. Of a text in several windows only the windows
that hold the word are computed again, and of a document in sentences only its sentence.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from leanbert.arguments import check_choice, check_text
from leanbert.batching import Prepared
from leanbert.engines.batch import Ints
from leanbert.errors import InputError
from leanbert.numerics import Floats
from leanbert.pipelines.answers import ExplainedDocument, ExplainedPart, Explanation, WordShare
from leanbert.pipelines.documents import (
    DocumentPipeline,
    Parts,
    combine_scores,
    scored_parts,
    window_spans,
)
from leanbert.tokenization import Encodings, Segments, segment
from leanbert.tokenization.cutting import report_cut
from leanbert.tokenization.sentences import sentence_spans
from leanbert.tokenization.words import word_spans

__all__ = ["call_of", "explained"]

_MEANINGLESS = frozenset({"return_all_scores", "text_pair", "top_k"})


@dataclass(frozen=True)
class _Row:
    """What the engine computes: a window, whole or without the tokens of one word."""

    input_ids: Ints
    token_type_ids: Ints
    text: str
    """Of which it is a row; messages name it."""


@dataclass(frozen=True)
class _Variant:
    """A window without one word."""

    word: int
    window: int
    left_out: int
    """How many tokens were left out."""


def call_of(
    pipe: DocumentPipeline[Any],
    options: Any,
    given: Mapping[str, Any],
    label: object,
    split: object,
) -> Any:
    """The options of a call that explains.

    Args:
        pipe: what scores the texts.
        options: of a call with the same arguments.
        given: the arguments themselves; the pipeline's defaults may have others.
        label: whose score is explained.
        split: ``"sentences"`` or ``None``.

    Raises:
        InputError: an argument means nothing here, or cannot be used.
    """
    if split is not None:
        check_choice("split", split, ("sentences",))
    cut = {"stride", "window"} if split is not None else {"truncation"}
    wrong = sorted((_MEANINGLESS | cut) & set(given))
    if wrong:
        name, what = wrong[0], "sentences are" if split is not None else "a whole text is"
        raise InputError(
            f"{name} is {given[name]!r}; it has no meaning where {what} explained: leave it out"
        )
    if label is not None and split is not None:
        raise InputError("label: each sentence is explained by its own best label; leave it out")
    if label is not None:
        check_choice("label", label, pipe.labels)
    return replace(options, _split=split)


def explained(
    pipe: DocumentPipeline[Any],
    inputs: Iterable[object],
    options: Any,
    *,
    label: str | None,
    live: bool,
) -> Iterator[Explanation | ExplainedDocument]:
    """Yield each text's explanation, lazily and in order.

    Args:
        pipe: what scores the texts.
        inputs: the texts.
        options: of the call; ``_split`` says whether each sentence is explained by itself.
        label: whose score is explained; ``None`` for the best label of each text or sentence.
        live: whether each text is answered before the next one is drawn. Otherwise texts share
            batches.

    Raises:
        InputError: a text is no string, or an argument cannot be used.
        EngineError: the engine failed, or gave numbers that are not finite.
    """
    if not live:
        yield from _together(pipe, enumerate(inputs), options, label)
        return
    for numbered in enumerate(inputs):
        yield from _together(pipe, [numbered], options, label)


def _together(
    pipe: DocumentPipeline[Any],
    inputs: Iterable[tuple[int, object]],
    options: Any,
    label: str | None,
) -> Iterator[Explanation | ExplainedDocument]:
    """Yield the explanations of numbered texts whose rows share batches."""
    waiting: deque[_Text] = deque()

    def rows() -> Iterator[_Row]:
        for number, item in inputs:
            waiting.append(_Text(pipe, check_text(item, number), number, options))
            yield from waiting[-1].rows()

    computed: Iterator[list[float]] = pipe.runner.map(
        rows(),
        _prepared,
        partial(pipe.forward, options=options),
        partial(_scores_of, pipe),
        batch_size=options.batch_size,
        deduplicate=options.deduplicate,
    )
    found: list[list[float]] = []
    for scores in computed:
        found.append(scores)
        if len(found) == waiting[0].count:
            yield waiting.popleft().answer(np.array(found, np.float32), label)
            found = []


def _prepared(rows: Sequence[Any], _: int) -> Prepared[_Row, Encodings]:
    """Some rows as one batch of token ids."""
    encodings = Encodings(
        np.concatenate([row.input_ids for row in rows]),
        np.concatenate([row.token_type_ids for row in rows]),
        np.array([len(row.input_ids) for row in rows], np.int32),
    )
    return Prepared(rows, encodings)


def _scores_of(
    pipe: DocumentPipeline[Any],
    row: _Row,
    _: Encodings,
    _own: range,
    kept: Sequence[list[float]],
) -> list[float]:
    """The labels' scores of a row, which must be finite."""
    pipe.check_finite(row.text, kept)
    return kept[0]


class _Text:
    """One text with the rows that explain it."""

    def __init__(
        self,
        pipe: DocumentPipeline[Any],
        text: str,
        number: int,
        options: Any,
    ) -> None:
        self.text, self.labels, self.options = text, pipe.labels, options
        by_sentences = options._split is not None
        spans = sentence_spans(text) if by_sentences else []
        self.spans = spans or [(0, len(text))]
        segments = segment(
            pipe.runner.tokenizer,
            [text[start:end] for start, end in self.spans],
            stride=None if by_sentences else options.stride or 0,
            max_length=options.window or options.max_length,
            truncation=options.truncation if by_sentences else None,
            in_text_order=True,
            first_index=0 if by_sentences else number,
        )
        report_cut(segments)
        self.parts: list[_Part] = []
        first = 0
        for (start, end), count in zip(self.spans, segments.counts, strict=True):
            own = range(first, first + count)
            self.parts.append(_Part(text[start:end], start, segments, own))
            first += count
        self.count = sum(part.count for part in self.parts)
        """How many rows the text has."""

    def rows(self) -> Iterator[_Row]:
        """Yield the rows of each part: its windows, then its windows without a word."""
        for part in self.parts:
            yield from part.rows()

    def answer(self, scores: Floats, label: str | None) -> Explanation | ExplainedDocument:
        """The explanation. *Shape:* scores ``(rows, labels)``."""
        how = self.options.combine or "mean"
        if self.options._split is None:
            [part] = self.parts
            return part.explanation(scores, self.labels, label, how)
        whole: list[Floats] = []
        explanations = []
        first = 0
        for part in self.parts:
            own = scores[first : first + part.count]
            explanations.append(part.explanation(own, self.labels, label, how))
            whole.append(own[0])
            first += part.count
        lengths = [part.lengths[0] for part in self.parts]
        parts = Parts(self.text, self.spans, lengths)
        document, scored = scored_parts(self.labels, parts, np.array(whole), combine=how)
        sentences: list[ExplainedPart] = [
            {**sentence, "words": explanation["words"]}
            for sentence, explanation in zip(scored, explanations, strict=True)
        ]
        return {**document, "sentences": sentences}


class _Part:
    """A text or a sentence: its windows, its words, and the windows without each word."""

    def __init__(self, text: str, start: int, segments: Segments, own: range) -> None:
        self.text, self.start = text, start
        self.words = word_spans(text)
        self.windows: list[_Row] = []
        self.variants: list[_Variant] = []
        self._without: list[tuple[int, Ints]] = []
        for window, i in enumerate(own):
            place = segments.place(i)
            row = _Row(segments.input_ids[place], segments.token_type_ids[place], text)
            self.windows.append(row)
            self._leave_out(window, segments.offsets[place], segments.special_tokens_mask[place])
        _, self.lengths = window_spans(segments, own)
        self.count = len(self.windows) + len(self.variants)

    def _leave_out(self, window: int, offsets: Ints, special: Any) -> None:
        """Note which tokens of a window belong to each of its words."""
        numbers = np.flatnonzero(~special & (offsets[:, 1] > offsets[:, 0]))
        if not len(numbers):
            return
        starts, ends = offsets[numbers, 0], offsets[numbers, 1]
        first = bisect_right(self.words, int(starts.min()), key=itemgetter(1))
        after = bisect_left(self.words, int(ends.max()), key=itemgetter(0))
        for word in range(first, after):
            start, end = self.words[word]
            tokens = numbers[(starts < end) & (ends > start)]
            if len(tokens):
                self.variants.append(_Variant(word, window, len(tokens)))
                self._without.append((window, tokens.astype(np.int32)))

    def rows(self) -> Iterator[_Row]:
        """Yield the windows, then the variants in their order."""
        yield from self.windows
        for window, tokens in self._without:
            row = self.windows[window]
            kept = np.delete(row.input_ids, tokens), np.delete(row.token_type_ids, tokens)
            yield _Row(*kept, row.text)

    def explanation(
        self, scores: Floats, labels: Sequence[str], label: str | None, how: str
    ) -> Explanation:
        """The label's score, and the share of each word. *Shape:* scores ``(rows, labels)``."""
        windows, variants = scores[: len(self.windows)], scores[len(self.windows) :]
        whole = combine_scores(windows, self.lengths, how)
        chosen = int(whole.argmax()) if label is None else labels.index(label)
        replaced: list[list[tuple[_Variant, Floats]]] = [[] for _ in self.words]
        for variant, row in zip(self.variants, variants, strict=True):
            replaced[variant.word].append((variant, row))
        words: list[WordShare] = []
        for (start, end), found in zip(self.words, replaced, strict=True):
            without, lengths = windows.copy(), list(self.lengths)
            for variant, row in found:
                without[variant.window] = row
                lengths[variant.window] -= variant.left_out
            left = combine_scores(without, lengths, how)
            share = float(whole[chosen] - left[chosen])
            words.append(
                {
                    "word": self.text[start:end],
                    "start": self.start + start,
                    "end": self.start + end,
                    "share": share,
                }
            )
        return {"label": labels[chosen], "score": float(whole[chosen]), "words": words}
