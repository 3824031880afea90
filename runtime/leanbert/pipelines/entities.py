"""From the scores of tokens to labelled tokens and entities, as transformers forms them.

To the letter those of transformers 4.57, ``transformers/pipelines/token_classification.py``, as
there is no other definition of its strategies.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from leanbert.numerics import Floats
from leanbert.pipelines.answers import Entity, Token
from leanbert.tokenization import Segments, Tokenizer, Words

FoundT = TypeVar("FoundT", Token, Entity)

__all__ = ["STRATEGIES", "EntityReader", "SourceText"]

STRATEGIES = ("none", "simple", "first", "average", "max")
"""``aggregation_strategy``: tokens as they are; runs of one entity; the same after all tokens of a
word took the label of its first one, of their average, or of the surest one."""

_OF_WORDS = ("first", "average", "max")


@dataclass(frozen=True)
class SourceText:
    """One of the caller's texts."""

    sentence: str
    """What offsets count in."""
    words: Words | None = None
    """Where the caller split it."""
    word_starts: Sequence[int] = ()
    """First character of each word in ``sentence``."""


@dataclass(frozen=True)
class _Window:
    """A window of a text, with the scores of its tokens."""

    sentence: str
    ids: list[int]
    spans: list[list[int]]
    """First character of each token in ``sentence``, and the one after the last."""
    tokens: list[int]
    """Places of the tokens that are the text's, not special ones."""
    scores: Floats
    """``(tokens, labels)``."""


@dataclass(frozen=True)
class _Unit:
    """A token, or the tokens of a word."""

    label: int
    score: float
    tokens: list[int]
    """Their places in the window."""


class EntityReader:
    """Turns the scores of a text's tokens into its entities.

    Args:
        tokenizer: that of the bundle.
        labels: the name of each score.
    """

    def __init__(self, tokenizer: Tokenizer, labels: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._labels = labels
        self._unknown = self._tokenizer.special_tokens.id("unk_token")
        self._knows_words = self._tokenizer.continuing_subword_prefix is not None
        self._tags = [_tag(label) for label in self._labels]
        self._groups = [label.split("-", 1)[-1] for label in self._labels]

    def read(
        self,
        text: SourceText,
        segments: Segments,
        own: range,
        scores: Sequence[Floats],
        strategy: str,
        ignore_labels: Collection[str],
    ) -> list[Token] | list[Entity]:
        """The tokens or entities of one text from the scores of its windows.

        Args:
            text: the text.
            segments: the windows of a group of texts.
            own: which of them are the text's.
            scores: of each of these windows. *Shape:* ``(tokens, labels)``.
            strategy: one of :data:`STRATEGIES`.
            ignore_labels: labels, or entities, that are left out.
        """
        tokens: list[Token] = []
        entities: list[Entity] = []
        for i, window_scores in zip(own, scores, strict=True):
            place = segments.place(i)
            spans = segments.offsets[place]
            if text.words is not None:
                spans = spans + np.take(text.word_starts, segments.word_ids[place])[:, None]
            window = _Window(
                sentence=text.sentence,
                ids=segments.input_ids[place].tolist(),
                spans=spans.tolist(),
                tokens=np.flatnonzero(~segments.special_tokens_mask[place]).tolist(),
                scores=window_scores,
            )
            if strategy == "none":
                tokens += self._tokens(window, ignore_labels)
            else:
                entities += self._grouped(window, strategy, ignore_labels)
        if strategy == "none":
            return tokens if len(own) == 1 else _without_overlaps(tokens)
        return entities if len(own) == 1 else _without_overlaps(entities)

    def _tokens(self, window: _Window, ignore_labels: Collection[str]) -> list[Token]:
        best = window.scores.argmax(axis=-1).tolist()
        return [
            {
                "entity": self._labels[best[token]],
                "score": float(window.scores[token, best[token]]),
                "index": token,
                "word": self._word(window, token),
                "start": window.spans[token][0],
                "end": window.spans[token][1],
            }
            for token in window.tokens
            if self._labels[best[token]] not in ignore_labels
        ]

    def _grouped(
        self, window: _Window, strategy: str, ignore_labels: Collection[str]
    ) -> list[Entity]:
        """Runs of one entity; ``B-`` begins another."""
        runs: list[list[_Unit]] = []
        for unit in self._units(window, strategy):
            begins, tag = self._tags[unit.label]
            if runs and not begins and tag == self._tags[runs[-1][-1].label][1]:
                runs[-1].append(unit)
            else:
                runs.append([unit])
        return [
            {
                "entity_group": self._groups[run[0].label],
                "score": sum(unit.score for unit in run) / len(run),
                "word": self._phrase(window, run, of_words=strategy in _OF_WORDS),
                "start": window.spans[run[0].tokens[0]][0],
                "end": window.spans[run[-1].tokens[-1]][1],
            }
            for run in runs
            if self._groups[run[0].label] not in ignore_labels
        ]

    def _units(self, window: _Window, strategy: str) -> list[_Unit]:
        """Each token, or under a strategy of words each word, with its label."""
        of_words = strategy in _OF_WORDS
        words: list[list[int]] = []
        for token in window.tokens:
            if of_words and words and self._is_inside(window, token):
                words[-1].append(token)
            else:
                words.append([token])
        best = window.scores.argmax(axis=-1).tolist()
        top = window.scores.max(axis=-1).tolist()
        units = []
        for word in words:
            if strategy == "average" and len(word) > 1:
                mean = window.scores[word].mean(axis=0)
                units.append(_Unit(int(mean.argmax()), float(mean.max()), word))
            else:
                chosen = max(word, key=top.__getitem__) if strategy == "max" else word[0]
                units.append(_Unit(best[chosen], top[chosen], word))
        return units

    def _is_inside(self, window: _Window, token: int) -> bool:
        """Whether a token continues a word, by the same guess as transformers'."""
        if window.ids[token] == self._unknown:
            return False
        start, end = window.spans[token]
        if self._knows_words:
            return len(self._word(window, token)) != len(window.sentence[start:end])
        return start > 0 and " " not in window.sentence[start - 1 : start + 1]

    def _word(self, window: _Window, token: int) -> str:
        if window.ids[token] == self._unknown:
            start, end = window.spans[token]
            return window.sentence[start:end]
        return self._tokenizer.id_to_token(window.ids[token])

    def _phrase(self, window: _Window, run: Sequence[_Unit], *, of_words: bool) -> str:
        """A run's words as text."""
        to_string = self._tokenizer.tokens_to_string
        words = [[self._word(window, token) for token in unit.tokens] for unit in run]
        return to_string([to_string(word) if of_words else word[0] for word in words])


def _tag(label: str) -> tuple[bool, str]:
    """Whether the label begins an entity, and which; labels without ``B-`` or ``I-`` go on."""
    if label.startswith(("B-", "I-")):
        return label[0] == "B", label[2:]
    return False, label


def _without_overlaps(found: list[FoundT]) -> list[FoundT]:
    """One of those that windows found at the same place: the longest, or else the surest."""
    kept: list[FoundT] = []
    for one in sorted(found, key=lambda one: one["start"]):
        if not kept or not kept[-1]["start"] <= one["start"] < kept[-1]["end"]:
            kept.append(one)
        elif _size(one) > _size(kept[-1]):
            kept[-1] = one
    return kept


def _size(one: Token | Entity) -> tuple[int, float]:
    return one["end"] - one["start"], one["score"]
