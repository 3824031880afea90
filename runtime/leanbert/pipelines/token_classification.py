"""``token-classification`` (``ner``): the label of each token, or of each entity.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/token_classification.py``. How labels become entities:
:mod:`leanbert.pipelines.entities`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from leanbert.arguments import check_stride
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError, warn
from leanbert.numerics import Floats, softmax
from leanbert.pipelines.closures import ClosurePipeline
from leanbert.pipelines.entities import STRATEGIES, EntityReader, SourceText
from leanbert.pipelines.options import NOT_GIVEN, NotGiven
from leanbert.tokenization import Segments, segment

__all__ = ["TokenClassificationPipeline"]


class TokenClassificationPipeline(ClosurePipeline):
    """Find labelled tokens and entities in texts.

    Args:
        bundle: a bundle exported for token-classification.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "token-classification"
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
            check_stride("stride", stride)
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
        reader = EntityReader(
            self.runner.tokenizer,
            self.labels,
            options["aggregation_strategy"],
            options["ignore_labels"],
        )

        def encode(part: Sequence[SourceText], start: int) -> tuple[Segments, Sequence[int]]:
            segments = segment(
                self.runner.tokenizer,
                [text.sentence if text.words is None else text.words for text in part],
                stride=options.get("stride"),
                max_length=options.get("max_length"),
                truncation=options.get("truncation"),
                is_split_into_words=split,
                first_index=start,
            )
            return segments, segments.counts

        def reduce(outputs: ModelOutputs, batch: Batch) -> list[Floats]:
            logits = outputs["logits"]
            self.bundle.check_num_labels(logits.shape[-1])
            return [softmax(text) for text in batch.split(logits)]

        return self._map_rows(texts, encode, reduce, reader.entities, options)


def _deprecated(options: Mapping[str, Any]) -> str | None:
    """The strategy that ``grouped_entities`` and ``ignore_subwords`` mean, if either is given."""
    grouped, subwords = options.get("grouped_entities"), options.get("ignore_subwords")
    if grouped is None and subwords is None:
        return None
    strategy = ("first" if subwords else "simple") if grouped else "none"
    warn(
        "grouped_entities and ignore_subwords are deprecated, as in transformers; "
        f'pass aggregation_strategy="{strategy}"'
    )
    return strategy


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
