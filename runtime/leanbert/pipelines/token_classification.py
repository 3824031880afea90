"""``token-classification`` (``ner``): the label of each token, or of each entity.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/token_classification.py``. How labels become entities:
:mod:`leanbert.pipelines.entities`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, overload

from leanbert.arguments import check_choice, check_count, check_flag
from leanbert.batching import Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError, warn
from leanbert.numerics import Floats, is_finite
from leanbert.pipelines.answers import Entity, TaggedT, Token
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.entities import STRATEGIES, EntityReader, SourceText
from leanbert.pipelines.options import CallOptions
from leanbert.scores import scores_of
from leanbert.tokenization import Segments, segment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import Aggregation, Lazy, Many
    from leanbert.pipelines.keywords import TokenClassificationKeywords as Keywords

__all__ = ["TokenClassificationOptions", "TokenClassificationPipeline"]

_Text: TypeAlias = "str | Sequence[str]"
"""One text, or its words under ``is_split_into_words``."""


@dataclass(frozen=True)
class TokenClassificationOptions(CallOptions):
    """The arguments of a call: see :meth:`TokenClassificationPipeline.__call__`."""

    aggregation_strategy: str | None = None
    ignore_labels: Sequence[str] = ("O",)
    stride: int | None = None
    is_split_into_words: bool = False
    delimiter: str = " "

    aliases: ClassVar[Mapping[str, str]] = {
        "grouped_entities": "aggregation_strategy",
        "ignore_subwords": "aggregation_strategy",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregation_strategy is not None:
            check_choice("aggregation_strategy", self.aggregation_strategy, STRATEGIES)
        check_count("stride", self.stride, least=0)
        if self.stride is not None and self.aggregation_strategy == "none":
            raise InputError(
                'stride reads a text in windows that overlap; aggregation_strategy="none" '
                "would give their tokens twice: choose another"
            )
        if isinstance(self.ignore_labels, str):
            raise InputError(f"ignore_labels is {self.ignore_labels!r}; expected a list of labels")
        check_flag("is_split_into_words", self.is_split_into_words)
        if not isinstance(self.delimiter, str):
            raise InputError(f"delimiter is {self.delimiter!r}; expected a string")

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """See :meth:`CallOptions.canonical`; transformers' deprecated names become a strategy."""
        found = super().canonical(given, task)
        grouped, subwords = given.get("grouped_entities"), given.get("ignore_subwords")
        if grouped is not None or subwords is not None:
            strategy = ("first" if subwords else "simple") if grouped else "none"
            warn(
                "grouped_entities and ignore_subwords are deprecated, as in transformers; "
                f'pass aggregation_strategy="{strategy}"'
            )
            found["aggregation_strategy"] = strategy
        elif isinstance(found.get("aggregation_strategy"), str):
            found["aggregation_strategy"] = found["aggregation_strategy"].lower()
        return found


class TokenClassificationPipeline(Pipeline[TokenClassificationOptions], Generic[TaggedT]):
    """Find labelled tokens and entities in texts.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.
    """

    task = "token-classification"
    required_outputs = {"logits": 3}  # noqa: RUF012 - read-only by its type
    options_type = TokenClassificationOptions

    @overload
    def __call__(self, inputs: str, **kwargs: Unpack[Keywords]) -> list[TaggedT]: ...
    @overload
    def __call__(
        self, inputs: str, *, aggregation_strategy: Literal["none"], **kwargs: Unpack[Keywords]
    ) -> list[Token]: ...
    @overload
    def __call__(
        self, inputs: str, *, aggregation_strategy: Aggregation, **kwargs: Unpack[Keywords]
    ) -> list[Entity]: ...
    @overload
    def __call__(self, inputs: Many[_Text], **kwargs: Unpack[Keywords]) -> list[list[TaggedT]]: ...
    @overload
    def __call__(
        self,
        inputs: Many[_Text],
        *,
        aggregation_strategy: Literal["none"],
        **kwargs: Unpack[Keywords],
    ) -> list[list[Token]]: ...
    @overload
    def __call__(
        self,
        inputs: Many[_Text],
        *,
        aggregation_strategy: Aggregation,
        **kwargs: Unpack[Keywords],
    ) -> list[list[Entity]]: ...
    @overload
    def __call__(
        self, inputs: Lazy[_Text], **kwargs: Unpack[Keywords]
    ) -> Iterator[list[TaggedT]]: ...
    @overload
    def __call__(
        self,
        inputs: Lazy[_Text],
        *,
        aggregation_strategy: Literal["none"],
        **kwargs: Unpack[Keywords],
    ) -> Iterator[list[Token]]: ...
    @overload
    def __call__(
        self,
        inputs: Lazy[_Text],
        *,
        aggregation_strategy: Aggregation,
        **kwargs: Unpack[Keywords],
    ) -> Iterator[list[Entity]]: ...
    def __call__(self, inputs: object, **kwargs: Any) -> Any:
        """Label the tokens of one text, a list of texts, or whatever an iterable yields.

        Args:
            inputs: a string, a list of strings, or any other iterable of them, which gives a lazy
                iterator; lists of words instead of strings under ``is_split_into_words``.
            aggregation_strategy: ``"none"``, the default, ``"simple"``, ``"first"``, ``"average"``
                or ``"max"``: see :data:`leanbert.pipelines.entities.STRATEGIES`.
            ignore_labels: labels, or entities, that are left out; by default ``["O"]``.
            stride: read long texts whole, in windows that share so many tokens. Without it they
                are cut to the model's length.
            is_split_into_words: texts are lists of words; ``start`` and ``end`` count in the words
                joined by ``delimiter``.
            delimiter: by default a space.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`. transformers'
                ``grouped_entities`` and ``ignore_subwords``, which it deprecates, are understood;
                ``padding`` is accepted and changes nothing.

        Returns:
            For one text a list of dictionaries, for a list a list of these. Each has ``entity``,
            ``score``, ``index`` (of the token), ``word``, ``start`` and ``end`` (characters);
            other strategies than ``"none"`` say ``entity_group`` and no ``index``.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._call_options(kwargs)
        if options.is_split_into_words and _is_words(inputs):
            inputs = [inputs]  # transformers answers as for a list of one
        return self._call(inputs, options)

    if TYPE_CHECKING:  # the base has it; here are its types

        @overload
        def stream(
            self, inputs: Lazy[_Text], **kwargs: Unpack[Keywords]
        ) -> Iterator[list[TaggedT]]: ...
        @overload
        def stream(
            self,
            inputs: Lazy[_Text],
            *,
            aggregation_strategy: Literal["none"],
            **kwargs: Unpack[Keywords],
        ) -> Iterator[list[Token]]: ...
        @overload
        def stream(
            self,
            inputs: Lazy[_Text],
            *,
            aggregation_strategy: Aggregation,
            **kwargs: Unpack[Keywords],
        ) -> Iterator[list[Entity]]: ...
        def stream(self, inputs: Any, *args: Any, **kwargs: Any) -> Iterator[Any]: ...  # noqa: D102

    def _prepare(self) -> None:
        self._reader = EntityReader(self.runner.tokenizer, self.labels)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: TokenClassificationOptions
    ) -> Prepared[SourceText, Segments]:
        """One row per text, or one per window: see :meth:`Pipeline.preprocess`."""
        split = options.is_split_into_words
        read = partial(_words, delimiter=options.delimiter) if split else _sentence
        texts = [read(item, i) for i, item in enumerate(inputs, first)]
        segments = segment(
            self.runner.tokenizer,
            [text.sentence if text.words is None else text.words for text in texts],
            stride=options.stride,
            max_length=options.max_length,
            truncation=options.truncation,
            is_split_into_words=split,
            first_index=first,
        )
        return Prepared(texts, segments, segments.counts)

    def keep(
        self,
        outputs: ModelOutputs,
        batch: Batch,
        options: TokenClassificationOptions,
    ) -> list[Floats | None]:
        """The labels' probabilities. *Shape:* for each text ``(tokens, labels)``."""
        logits = outputs["logits"]
        self.bundle.check_num_labels(logits.shape[-1])
        scores, sound = scores_of("softmax", logits)
        texts = batch.split(scores)
        finite = [True] * len(texts) if sound else map(is_finite, batch.split(logits))
        # A view would keep the whole batch alive.
        return [text.copy() if good else None for text, good in zip(texts, finite, strict=True)]

    def _text_of(self, item: SourceText) -> str:
        return item.sentence

    def postprocess(
        self,
        item: SourceText,
        encodings: Segments,
        own: range,
        kept: Sequence[Floats],
        options: TokenClassificationOptions,
    ) -> list[Token] | list[Entity]:
        """The tokens or entities of a text: see :meth:`Pipeline.postprocess`."""
        strategy = options.aggregation_strategy or "none"
        return self._reader.read(item, encodings, own, kept, strategy, options.ignore_labels)


def _is_words(item: object) -> bool:
    return isinstance(item, (list, tuple)) and any(isinstance(word, str) for word in item)


def _sentence(item: object, index: int) -> SourceText:
    if not isinstance(item, str):
        raise InputError(f"text {index}: expected a string, got {type(item).__name__}")
    return SourceText(item)


def _words(item: object, index: int, delimiter: str) -> SourceText:
    if not isinstance(item, (list, tuple)) or not all(isinstance(word, str) for word in item):
        raise InputError(f"text {index}: expected a list of words, got {type(item).__name__}")
    lengths = [len(word) + len(delimiter) for word in item]
    return SourceText(delimiter.join(item), list(item), list(accumulate(lengths, initial=0)))
