"""What each task answers, as types: plain dictionaries with the keys of transformers' answers.

An editor and a type checker read these; at run time they are ordinary dictionaries. A model's
default arguments change what a call answers, so the classes of some tasks have a parameter:
``pipeline("ner", model, aggregation_strategy="simple")`` is a
``TokenClassificationPipeline[Entity]``, without the argument it is one of :class:`Token`.
Where the form depends on what only the call finds, the type says the usual form ``| Any``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # type parameters with defaults are part of Python from 3.13 only
    from typing_extensions import TypeVar

    ClassifiedT = TypeVar("ClassifiedT", default="LabelScore")
    TaggedT = TypeVar("TaggedT", default="Token")
    ExtractedT = TypeVar("ExtractedT", default="Answer")
    VectorT = TypeVar("VectorT", default="Vectors")
    VectorsT = TypeVar("VectorsT", default="list[Vectors]")
else:
    from typing import TypeVar

    ClassifiedT = TypeVar("ClassifiedT")
    TaggedT = TypeVar("TaggedT")
    ExtractedT = TypeVar("ExtractedT")
    VectorT = TypeVar("VectorT")
    VectorsT = TypeVar("VectorsT")

__all__ = [
    "Answer",
    "Answers",
    "Array",
    "ClassifiedT",
    "Embedding",
    "Entity",
    "ExplainedDocument",
    "ExplainedPart",
    "Explanation",
    "ExtractedT",
    "FilledMask",
    "FilledMasks",
    "LabelScore",
    "RankedDocument",
    "Score",
    "ScoredDocument",
    "ScoredPart",
    "ScoredText",
    "SentenceDocument",
    "TaggedT",
    "Token",
    "TokenVectors",
    "VectorT",
    "Vectors",
    "VectorsT",
    "WindowDocument",
    "WordShare",
    "ZeroShotAnswer",
]


class LabelScore(TypedDict):
    """``text-classification``: one label of a text."""

    label: str
    score: float


class ScoredText(TypedDict):
    """``text-classification`` of documents: a text, or a part of one, with all its scores."""

    label: str
    """The label of the largest score."""
    score: float
    scores: dict[str, float]
    """Every label's score, in the model's order."""
    sentiment_score: float | None
    """``P(positive) - P(negative)``; ``None`` for a model without labels of these names."""


class ScoredPart(ScoredText):
    """A sentence or a window of a document."""

    text: str
    start: int
    """The part's first character in the document."""
    end: int
    """The character after the part's last one."""


class SentenceDocument(ScoredText):
    """``text-classification``: a document with its sentences."""

    sentences: list[ScoredPart]


class WindowDocument(ScoredText):
    """``text-classification``: a document with its windows of tokens."""

    windows: list[ScoredPart]


class WordShare(TypedDict):
    """``text-classification``, explained: a word and what it adds to the score of a label."""

    word: str
    start: int
    """The word's first character in the text."""
    end: int
    """The character after the word's last one."""
    share: float
    """The score of the text minus its score without the word, from -1 to 1 where scores are
    probabilities: positive where the word speaks for the label."""


class Explanation(TypedDict):
    """``text-classification``, explained: a label's score, and the share of each word."""

    label: str
    """The label whose score is explained."""
    score: float
    words: list[WordShare]
    """In the order of the text."""


class ExplainedPart(ScoredPart):
    """A sentence of an explained document."""

    words: list[WordShare]
    """Their shares of ``score``, that of the sentence's best label."""


class ExplainedDocument(ScoredText):
    """``text-classification``, explained: a document with its sentences and their words."""

    sentences: list[ExplainedPart]


ScoredDocument: TypeAlias = "SentenceDocument | WindowDocument"


class Token(TypedDict):
    """``token-classification`` under ``aggregation_strategy="none"``: one labelled token."""

    entity: str
    score: float
    index: int
    """The token's place among those of its text, special tokens counted."""
    word: str
    start: int
    """The token's first character in the text."""
    end: int
    """The character after the token's last one."""


class Entity(TypedDict):
    """``token-classification`` under any other strategy: one entity of one token or more."""

    entity_group: str
    score: float
    word: str
    start: int
    """The entity's first character in the text."""
    end: int
    """The character after the entity's last one."""


class Answer(TypedDict):
    """``question-answering``: one span of the context."""

    score: float
    start: int
    """The answer's first character in the context."""
    end: int
    """The character after the answer's last one."""
    answer: str


Answers: TypeAlias = "list[Answer] | Any"
"""Under ``top_k``: a single :class:`Answer` where it is 1, or where the context has no second."""


class FilledMask(TypedDict):
    """``fill-mask``: one token in the place of a mask."""

    score: float
    token: int
    """The token's id."""
    token_str: str
    sequence: str
    """The whole text with the token in it."""


FilledMasks: TypeAlias = "list[FilledMask] | Any"
"""One text's answer, best token first; a list of such lists where the text has several masks."""


class ZeroShotAnswer(TypedDict):
    """``zero-shot-classification``: one text's labels, best first."""

    sequence: str
    labels: list[str]
    scores: list[float]


class RankedDocument(TypedDict, total=False):
    """``text-ranking``: one document of a query; ``text`` under ``return_documents``."""

    corpus_id: int
    """The document's place among those given, from 0."""
    score: float
    text: str


Score: TypeAlias = "float | Any"
"""``text-ranking`` of a pair; a list of floats where the model has several logits."""

TokenVectors: TypeAlias = "list[list[list[float]]]"
"""``feature-extraction`` of one text. *Shape:* ``[1][tokens][width]``."""

Embedding: TypeAlias = "list[float]"
"""``feature-extraction`` with ``pooling``; whole numbers under ``precision``.

*Shape:* ``[width]``."""

Vectors: TypeAlias = "TokenVectors | Any"
"""``feature-extraction`` without ``pooling``: an :class:`Embedding` where the bundle says how."""

Array: TypeAlias = "npt.NDArray[np.float32]"
"""Either of the two under ``return_tensors="np"``, and with ``pooling`` a list's whole answer.

*Shape:* ``(1, tokens, width)``, ``(width,)`` or ``(texts, width)``.
"""
