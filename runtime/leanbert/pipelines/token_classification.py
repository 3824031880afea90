"""``token-classification`` (``ner``): the label of each token, or of each entity.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/token_classification.py``; how labels become entities does so to the
letter, as there is no other definition of its strategies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.engines import ModelOutputs
from leanbert.errors import InputError, LeanBertWarning
from leanbert.numerics import Floats, softmax
from leanbert.pipelines.base import NOT_GIVEN, NotGiven, Pipeline
from leanbert.segments import Segments, Words, segment
from leanbert.tokenization import ModelInputs

__all__ = ["STRATEGIES", "TokenClassificationPipeline"]

STRATEGIES = ("none", "simple", "first", "average", "max")
"""``aggregation_strategy``: tokens as they are; runs of one entity; the same after all tokens of a
word took the label of its first one, of their average, or of the surest one."""

_OF_WORDS = ("first", "average", "max")


@dataclass(frozen=True)
class _Text:
    """One of the caller's texts."""

    sentence: str
    """What offsets count in."""
    words: Words | None = None
    """Where the caller split it."""
    word_starts: Sequence[int] = ()
    """First character of each word in ``sentence``."""


@dataclass(frozen=True)
class _Unit:
    """A token, or the tokens of a word."""

    label: int
    score: np.float32
    tokens: list[str]
    start: int
    end: int


class TokenClassificationPipeline(Pipeline):
    """Find labelled tokens and entities in texts.

    Args:
        bundle: a bundle exported for token-classification.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "token-classification"
    aliases = ("ner",)
    required_outputs = {"logits": 3}  # noqa: RUF012 - read-only by its type
    arguments = frozenset(
        {"aggregation_strategy", "ignore_labels", "stride", "is_split_into_words", "delimiter"}
        | {"grouped_entities", "ignore_subwords"}
    )

    def __call__(
        self,
        inputs: object,
        *,
        aggregation_strategy: str | NotGiven | None = NOT_GIVEN,
        ignore_labels: Sequence[str] | NotGiven | None = NOT_GIVEN,
        stride: int | NotGiven | None = NOT_GIVEN,
        is_split_into_words: bool | NotGiven = NOT_GIVEN,
        delimiter: str | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Label the tokens of one text, a list of texts, or whatever an iterable yields.

        Args:
            inputs: a string, a list of strings, or any other iterable of them, which gives a lazy
                iterator; lists of words instead of strings under ``is_split_into_words``.
            aggregation_strategy: one of :data:`STRATEGIES`; by default ``"none"``.
            ignore_labels: labels, or entities, that are left out; by default ``["O"]``.
            stride: read long texts whole, in windows that share so many tokens. Without it they
                are cut to the model's length.
            is_split_into_words: texts are lists of words; ``start`` and ``end`` count in the words
                joined by ``delimiter``.
            delimiter: by default a space.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :meth:`leanbert.pipelines.encoder.Encoder.map`. transformers'
                ``grouped_entities`` and ``ignore_subwords``, which it deprecates, are understood;
                ``padding`` is accepted and changes nothing.

        Returns:
            For one text a list of dictionaries, for a list a list of these. Each has ``entity``,
            ``score``, ``index`` (of the token), ``word``, ``start`` and ``end`` (characters);
            other strategies than ``"none"`` say ``entity_group`` and no ``index``.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._options(
            {
                "aggregation_strategy": aggregation_strategy,
                "ignore_labels": ignore_labels,
                "stride": stride,
                "is_split_into_words": is_split_into_words,
                "delimiter": delimiter,
                **kwargs,
            }
        )
        if options["is_split_into_words"] and _is_words(inputs):
            inputs = [inputs]  # transformers answers as for a list of one
        return self._dispatch(inputs, partial(self._answers, options=options))

    @staticmethod
    def _is_one(inputs: object) -> bool:
        return isinstance(inputs, (str, Mapping))

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        options = self._merged(given)
        strategy = _deprecated(options) or options.get("aggregation_strategy")
        if strategy is not None and str(strategy).lower() not in STRATEGIES:
            raise InputError(
                f"aggregation_strategy is {strategy!r}; expected one of {', '.join(STRATEGIES)}"
            )
        stride = options.get("stride")
        if stride is not None:
            if not isinstance(stride, int) or isinstance(stride, bool) or stride < 0:
                raise InputError(f"stride is {stride!r}; it must be a whole number from 0")
            if strategy == "none":
                raise InputError(
                    'stride reads a text in windows that overlap; aggregation_strategy="none" '
                    "would give their tokens twice: choose another"
                )
        ignored = options.get("ignore_labels")
        if isinstance(ignored, str):
            raise InputError(f"ignore_labels is {ignored!r}; expected a list of labels")
        options["aggregation_strategy"] = str(strategy or "none").lower()
        options["ignore_labels"] = frozenset(["O"] if ignored is None else ignored)
        options["is_split_into_words"] = bool(options.get("is_split_into_words"))
        options["delimiter"] = " " if options.get("delimiter") is None else options["delimiter"]
        return options

    def _answers(self, items: Iterable[object], options: dict[str, Any]) -> Iterator[Any]:
        split = options["is_split_into_words"]
        read = partial(_words, delimiter=options["delimiter"]) if split else _sentence
        texts = (read(item, i) for i, item in enumerate(items))
        reader = _Reader(self, options["aggregation_strategy"], options["ignore_labels"])

        def encode(part: Sequence[_Text], start: int) -> tuple[Segments, Sequence[int]]:
            segments = segment(
                self.encoder.tokenizer,
                [text.sentence if text.words is None else text.words for text in part],
                stride=options.get("stride"),
                max_length=options.get("max_length"),
                truncation=options.get("truncation"),
                is_split_into_words=split,
                first_index=start,
            )
            return segments, segments.counts

        def reduce(outputs: ModelOutputs, inputs: ModelInputs) -> list[Floats]:
            logits = outputs["logits"]
            self.bundle.check_num_labels(logits.shape[-1])
            lengths = inputs["attention_mask"].sum(axis=1)
            return [softmax(row[:length]) for row, length in zip(logits, lengths, strict=True)]

        return self._map_rows(texts, encode, reduce, reader.entities, options)


def _deprecated(options: Mapping[str, Any]) -> str | None:
    """The strategy that ``grouped_entities`` and ``ignore_subwords`` mean, if either is given."""
    grouped, subwords = options.get("grouped_entities"), options.get("ignore_subwords")
    if grouped is None and subwords is None:
        return None
    strategy = ("first" if subwords else "simple") if grouped else "none"
    warnings.warn(
        "grouped_entities and ignore_subwords are deprecated, as in transformers; "
        f'pass aggregation_strategy="{strategy}"',
        LeanBertWarning,
        stacklevel=4,
    )
    return strategy


def _is_words(item: object) -> bool:
    return isinstance(item, (list, tuple)) and any(isinstance(word, str) for word in item)


def _sentence(item: object, index: int) -> _Text:
    if not isinstance(item, str):
        raise InputError(f"text {index}: expected a string, got {type(item).__name__}")
    return _Text(item)


def _words(item: object, index: int, delimiter: str) -> _Text:
    if not isinstance(item, (list, tuple)) or not all(isinstance(word, str) for word in item):
        raise InputError(f"text {index}: expected a list of words, got {type(item).__name__}")
    lengths = [len(word) + len(delimiter) for word in item]
    return _Text(delimiter.join(item), list(item), list(accumulate(lengths, initial=0)))


class _Reader:
    """Turns the scores of a text's tokens into its entities."""

    def __init__(self, pipeline: Pipeline, strategy: str, ignore_labels: frozenset[str]) -> None:
        self._tokenizer = pipeline.encoder.tokenizer
        self._labels = pipeline.labels
        self._strategy = strategy
        self._ignored = ignore_labels
        self._unknown = self._tokenizer.special_id("unk_token")
        self._knows_words = self._tokenizer.continuing_subword_prefix is not None
        self._tags = [_tag(label) for label in self._labels]
        self._groups = [label.split("-", 1)[-1] for label in self._labels]

    def entities(
        self, text: _Text, segments: Segments, own: range, scores: Sequence[Floats]
    ) -> list[dict[str, Any]]:
        """The entities of one text from the scores of its windows."""
        found: list[dict[str, Any]] = []
        for i, window in zip(own, scores, strict=True):
            found += self._window(text, segments, i, window)
        return _without_overlaps(found) if len(own) > 1 else found

    def _window(
        self, text: _Text, segments: Segments, i: int, scores: Floats
    ) -> list[dict[str, Any]]:
        """*Shape:* scores ``(tokens, labels)``."""
        indices = np.flatnonzero(~segments.special_tokens_mask[i])
        spans = segments.offsets[i]
        if text.words is not None:
            spans = spans + np.take(text.word_starts, segments.word_ids[i])[:, None]
        if self._strategy == "none":
            return self._tokens(text.sentence, segments.ids[i], spans, indices, scores)
        units = self._units(text.sentence, segments.ids[i], spans.tolist(), indices, scores)
        return self._grouped(units)

    def _tokens(
        self,
        sentence: str,
        ids: npt.NDArray[np.int32],
        spans: npt.NDArray[Any],
        indices: npt.NDArray[np.intp],
        scores: Floats,
    ) -> list[dict[str, Any]]:
        best = scores.argmax(axis=-1)
        found = []
        for index in indices.tolist():
            label = self._labels[best[index]]
            if label not in self._ignored:
                start, end = spans[index].tolist()
                found.append(
                    {
                        "entity": label,
                        "score": float(scores[index, best[index]]),
                        "index": index,
                        "word": self._word(sentence, int(ids[index]), start, end),
                        "start": start,
                        "end": end,
                    }
                )
        return found

    def _word(self, sentence: str, token_id: int, start: int, end: int) -> str:
        if token_id == self._unknown:
            return sentence[start:end]
        return self._tokenizer.id_to_token(token_id)

    def _units(
        self,
        sentence: str,
        ids: npt.NDArray[np.int32],
        spans: list[list[int]],
        indices: npt.NDArray[np.intp],
        scores: Floats,
    ) -> list[_Unit]:
        """Each token, or under a strategy of words each word, with its label."""
        groups: list[list[int]] = []
        words = {}
        for index in indices.tolist():
            start, end = spans[index]
            token_id = int(ids[index])
            words[index] = self._word(sentence, token_id, start, end)
            inside = self._strategy in _OF_WORDS and self._is_inside(
                sentence, token_id, words[index], start, end
            )
            if inside and groups:
                groups[-1].append(index)
            else:
                groups.append([index])
        choose = _CHOICES.get(self._strategy, _first)
        units = []
        for group in groups:
            label, score = choose(scores[group])
            tokens = [words[index] for index in group]
            if self._strategy in _OF_WORDS:
                tokens = [self._tokenizer.tokens_to_string(tokens)]
            units.append(_Unit(label, score, tokens, spans[group[0]][0], spans[group[-1]][1]))
        return units

    def _is_inside(self, sentence: str, token_id: int, word: str, start: int, end: int) -> bool:
        """Whether a token goes on a word, told as transformers does for want of better."""
        if token_id == self._unknown:
            return False
        if self._knows_words:
            return len(word) != len(sentence[start:end])
        return start > 0 and " " not in sentence[start - 1 : start + 1]

    def _grouped(self, units: Sequence[_Unit]) -> list[dict[str, Any]]:
        """Runs of one entity; ``B-`` begins another."""
        runs: list[list[_Unit]] = []
        for unit in units:
            begins, tag = self._tags[unit.label]
            if runs and not begins and tag == self._tags[runs[-1][-1].label][1]:
                runs[-1].append(unit)
            else:
                runs.append([unit])
        found = []
        for run in runs:
            entity = self._groups[run[0].label]
            if entity not in self._ignored:
                tokens = [token for unit in run for token in unit.tokens]
                found.append(
                    {
                        "entity_group": entity,
                        "score": float(np.nanmean([unit.score for unit in run])),
                        "word": self._tokenizer.tokens_to_string(tokens),
                        "start": run[0].start,
                        "end": run[-1].end,
                    }
                )
        return found


def _tag(label: str) -> tuple[bool, str]:
    """Whether the label begins an entity, and which; labels without ``B-`` or ``I-`` go on."""
    if label.startswith(("B-", "I-")):
        return label[0] == "B", label[2:]
    return False, label


def _best(scores: Floats) -> tuple[int, np.float32]:
    label = int(scores.argmax())
    return label, scores[label]


def _first(scores: Floats) -> tuple[int, np.float32]:
    return _best(scores[0])


def _surest(scores: Floats) -> tuple[int, np.float32]:
    return _best(scores[int(scores.max(axis=-1).argmax())])


def _average(scores: Floats) -> tuple[int, np.float32]:
    return _best(scores.mean(axis=0))


_CHOICES: Mapping[str, Callable[[Floats], tuple[int, np.float32]]] = {
    "first": _first,
    "max": _surest,
    "average": _average,
}


def _without_overlaps(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of the entities that windows found at the same place: the longest, else the surest."""
    kept: list[dict[str, Any]] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        if not kept or not kept[-1]["start"] <= entity["start"] < kept[-1]["end"]:
            kept.append(entity)
        elif _size(entity) > _size(kept[-1]):
            kept[-1] = entity
    return kept


def _size(entity: Mapping[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
