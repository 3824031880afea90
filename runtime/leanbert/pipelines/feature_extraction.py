"""``feature-extraction``: token vectors, or one embedding a text.

Without ``pooling`` the result is that of transformers 4.57,
``transformers/pipelines/feature_extraction.py``: nested lists, ``[1][tokens][width]`` for a text.
With it, each text gives one vector, as sentence-transformers pools; an export of such a model may
pool in its own graph, whose output ``sentence_embedding`` is then asked for by that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, overload

import numpy as np

from leanbert.arguments import check_flag
from leanbert.batching import GROUP, Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, cls_pool, is_finite, l2_normalize, max_pool, mean_pool
from leanbert.pipelines.answers import Array, Embedding, TokenVectors, VectorsT, VectorT
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.options import CallOptions, take_tokenizer_arguments
from leanbert.tokenization import Encodings, TextInput, text_input

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import FeatureExtractionKeywords as Keywords
    from leanbert.pipelines.keywords import Lazy, Many, Pooling, Tensors, TextPair

_TOKEN_GROUP = 64  # texts
_POOLED = {"mean": mean_pool, "max": max_pool, "cls": cls_pool}
_OWN = "sentence_embedding"
POOLINGS = ("mean", "cls", "max", _OWN, None)
"""How the vectors of a text's tokens become one; ``None`` keeps them."""


@dataclass(frozen=True)
class FeatureExtractionOptions(CallOptions):
    """The arguments of a call: see :meth:`FeatureExtractionPipeline.__call__`."""

    pooling: str | None = None
    normalize: bool = False
    return_tensors: str | bool | None = None

    aliases: ClassVar[Mapping[str, str]] = {"tokenize_kwargs": "truncation"}
    nullable: ClassVar[frozenset[str]] = CallOptions.nullable | {"pooling", "return_tensors"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise InputError(f"pooling is {self.pooling!r}; expected 'mean', 'cls', 'max' or None")
        check_flag("normalize", self.normalize)
        if self.return_tensors not in (None, False, True, "np"):
            raise InputError(
                f'return_tensors is {self.return_tensors!r}; LeanBERT makes "np" arrays only'
            )

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """See :meth:`CallOptions.canonical`; the mapping for the tokenizer is taken apart."""
        return super().canonical(take_tokenizer_arguments(given, "tokenize_kwargs"), task)


class FeatureExtractionPipeline(Pipeline[FeatureExtractionOptions], Generic[VectorT, VectorsT]):
    """Turn texts into the encoder's vectors.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.
    """

    task = "feature-extraction"
    required_outputs = {"last_hidden_state": 3}  # noqa: RUF012 - read-only by its type
    options_type = FeatureExtractionOptions

    @overload
    def __call__(self, inputs: str | TextPair, **kwargs: Unpack[Keywords]) -> VectorT: ...
    @overload
    def __call__(
        self, inputs: str | TextPair, *, pooling: Pooling, **kwargs: Unpack[Keywords]
    ) -> Embedding: ...
    @overload
    def __call__(
        self, inputs: str | TextPair, *, pooling: None, **kwargs: Unpack[Keywords]
    ) -> TokenVectors: ...
    @overload
    def __call__(
        self,
        inputs: str | TextPair,
        *,
        return_tensors: Tensors,
        pooling: Pooling | None = ...,
        **kwargs: Unpack[Keywords],
    ) -> Array: ...
    @overload
    def __call__(self, inputs: Many[str | TextPair], **kwargs: Unpack[Keywords]) -> VectorsT: ...
    @overload
    def __call__(
        self, inputs: Many[str | TextPair], *, pooling: Pooling, **kwargs: Unpack[Keywords]
    ) -> list[Embedding]: ...
    @overload
    def __call__(
        self, inputs: Many[str | TextPair], *, pooling: None, **kwargs: Unpack[Keywords]
    ) -> list[TokenVectors]: ...
    @overload
    def __call__(
        self,
        inputs: Many[str | TextPair],
        *,
        return_tensors: Tensors,
        pooling: Pooling,
        **kwargs: Unpack[Keywords],
    ) -> Array: ...
    @overload
    def __call__(
        self,
        inputs: Many[str | TextPair],
        *,
        return_tensors: Tensors,
        pooling: None,
        **kwargs: Unpack[Keywords],
    ) -> list[Array]: ...
    @overload
    def __call__(
        self,
        inputs: Many[str | TextPair],
        *,
        return_tensors: Tensors,
        **kwargs: Unpack[Keywords],
    ) -> Array | list[Array]: ...
    @overload
    def __call__(
        self, inputs: Lazy[str | TextPair], **kwargs: Unpack[Keywords]
    ) -> Iterator[VectorT]: ...
    @overload
    def __call__(
        self, inputs: Lazy[str | TextPair], *, pooling: Pooling, **kwargs: Unpack[Keywords]
    ) -> Iterator[Embedding]: ...
    @overload
    def __call__(
        self, inputs: Lazy[str | TextPair], *, pooling: None, **kwargs: Unpack[Keywords]
    ) -> Iterator[TokenVectors]: ...
    @overload
    def __call__(
        self,
        inputs: Lazy[str | TextPair],
        *,
        return_tensors: Tensors,
        pooling: Pooling | None = ...,
        **kwargs: Unpack[Keywords],
    ) -> Iterator[Array]: ...
    def __call__(self, inputs: object, **kwargs: Any) -> Any:
        """Embed one text, a list of texts, or whatever an iterable yields.

        Args:
            inputs: a string, ``{"text": …, "text_pair": …}``, a list of these, or any other
                iterable of them, which gives a lazy iterator.
            pooling: ``"mean"`` or ``"max"`` over the tokens, ``"cls"`` for the first token,
                ``"sentence_embedding"`` for the graph's own output of that name, ``None`` for all
                tokens.
            normalize: scale each vector to length 1.
            return_tensors: ``"np"`` or ``True`` for float32 arrays instead of lists.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`; ``tokenize_kwargs``, a mapping,
                may hold the first two.

        Returns:
            For each text ``[1][tokens][width]`` floats without pooling, ``[width]`` with it; a
            list of these for a list. With ``return_tensors="np"`` and pooling, one array
            ``(texts, width)`` for a list.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._call_options(kwargs)
        found = self._call(inputs, options)
        several = isinstance(found, list) and not self._is_one(inputs)
        stacked = several and found and options.return_tensors and options.pooling
        return np.stack(found) if stacked else found

    if TYPE_CHECKING:  # the base has it; here are its types

        @overload
        def stream(
            self, inputs: Lazy[str | TextPair], **kwargs: Unpack[Keywords]
        ) -> Iterator[VectorT]: ...
        @overload
        def stream(
            self, inputs: Lazy[str | TextPair], *, pooling: Pooling, **kwargs: Unpack[Keywords]
        ) -> Iterator[Embedding]: ...
        @overload
        def stream(
            self, inputs: Lazy[str | TextPair], *, pooling: None, **kwargs: Unpack[Keywords]
        ) -> Iterator[TokenVectors]: ...
        @overload
        def stream(
            self,
            inputs: Lazy[str | TextPair],
            *,
            return_tensors: Tensors,
            pooling: Pooling | None = ...,
            **kwargs: Unpack[Keywords],
        ) -> Iterator[Array]: ...
        def stream(self, inputs: Any, *args: Any, **kwargs: Any) -> Iterator[Any]: ...  # noqa: D102

    def _completed(self, options: FeatureExtractionOptions) -> FeatureExtractionOptions:
        if options.pooling == _OWN and _OWN not in self.runner.engine.output_names:
            raise InputError(
                f"pooling is {options.pooling!r}, but {self.bundle.model_path.name} has no such "
                "output; expected 'mean', 'cls', 'max' or None"
            )
        return options

    def _group(self, options: FeatureExtractionOptions) -> int:
        # Every token's vector is large, and larger still as a list: hold few of them.
        return GROUP if options.pooling else _TOKEN_GROUP

    def preprocess(
        self, inputs: Sequence[object], first: int, options: FeatureExtractionOptions
    ) -> Prepared[TextInput, Encodings]:
        """One row per text: see :meth:`Pipeline.preprocess`."""
        texts = [text_input(item, i) for i, item in enumerate(inputs, first)]
        encodings = self.runner.tokenizer.encode(
            texts,
            truncation=options.truncation,
            max_length=options.max_length,
            strategy=options._strategy,
            first_index=first,
        )
        return Prepared(texts, encodings)

    def keep(
        self, outputs: ModelOutputs, batch: Batch, options: FeatureExtractionOptions
    ) -> list[Floats | None]:
        """Each text's vectors. *Shape:* ``(width,)``, or ``(1, tokens, width)`` unpooled."""
        rows: list[Floats]
        if options.pooling == _OWN:
            rows = list(outputs[_OWN])
        else:
            texts = batch.split(outputs["last_hidden_state"])
            pool = _POOLED.get(options.pooling or "")
            with np.errstate(invalid="ignore", over="ignore"):  # looked for in the next line
                rows = [text[None] if pool is None else pool(text) for text in texts]
        kept = [row if is_finite(row) else None for row in rows]
        if options.normalize:
            return [None if row is None else l2_normalize(row) for row in kept]
        # A view would keep the whole batch alive.
        return [None if row is None else row.copy() for row in kept]

    def postprocess(
        self,
        item: TextInput,
        encodings: Encodings,
        own: range,
        kept: Sequence[Floats],
        options: FeatureExtractionOptions,
    ) -> Array | Embedding | TokenVectors:
        """A text's vectors as an array or as lists: see :meth:`Pipeline.postprocess`."""
        vectors: Array | Embedding | TokenVectors = (
            kept[0] if options.return_tensors else kept[0].tolist()
        )
        return vectors
