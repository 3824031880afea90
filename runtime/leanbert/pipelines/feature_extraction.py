"""``feature-extraction``: token vectors, or one embedding per text.

Where the bundle says how sentence-transformers goes on from the tokens' vectors, a call without
``pooling`` gives what its ``SentenceTransformer.encode`` gives. Other bundles then answer as
transformers 4.57 does, ``transformers/pipelines/feature_extraction.py``: nested lists,
``[1][tokens][width]`` for a text. ``pooling=…`` makes one vector of these and nothing else; an
export of a model that pools in its own graph has an output ``sentence_embedding`` of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, overload

import numpy as np

from leanbert.batching import GROUP, Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, is_finite, l2_normalize
from leanbert.pipelines.answers import Array, Embedding, TokenVectors, VectorsT, VectorT
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.embedding_options import OWN_OUTPUT, FeatureExtractionOptions
from leanbert.pipelines.embeddings import Embedder, pool, quantize_embeddings
from leanbert.pipelines.prompts import with_prompt
from leanbert.tokenization import Encodings, TextInput, text_input

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import FeatureExtractionKeywords as Keywords
    from leanbert.pipelines.keywords import Lazy, Many, Pooling, Tensors, TextPair

_TOKEN_GROUP = 64  # texts


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
            pooling: left out, the bundle's own modules: its pooling, dense layers,
                normalization, default prompt and ``truncate_dim``, or all tokens where it has
                none. Otherwise exactly this: ``"mean"``, ``"max"``, ``"mean_sqrt_len_tokens"`` or
                ``"weightedmean"`` over the tokens, ``"cls"`` for the first and ``"lasttoken"`` for
                the last of them, ``"sentence_embedding"`` for the graph's own output of that name,
                ``None`` for all tokens.
            normalize: scale each vector to length 1, after all else; sentence-transformers' name,
                ``normalize_embeddings``, is understood.
            prompt: a text that is put before each input, as it stands.
            prompt_name: the name of one of the bundle's prompts; ``prompt`` goes before it.
            truncate_dim: keep so many dimensions of each embedding; ``None``, given or by default,
                means the bundle's own number.
            precision: ``"float32"``, ``"int8"``, ``"uint8"``, ``"binary"`` or ``"ubinary"``: see
                :func:`leanbert.pipelines.embeddings.quantize_embeddings`. int8 and uint8 take the
                ranges of a whole list, as ``encode`` does, unless the next two give them.
            ranges: the smallest and the largest value of each dimension.
                *Shape:* ``(2, dimensions)``.
            calibration_embeddings: embeddings to take these from. *Shape:* ``(any, dimensions)``.
            return_tensors: ``"np"`` or ``True`` for arrays instead of lists.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`; ``tokenize_kwargs``, a mapping,
                may hold the first two.

        Returns:
            For each text ``[1][tokens][width]`` floats without pooling, ``[width]`` numbers with
            it; a list of these for a list. With ``return_tensors="np"`` and pooling, one array
            ``(texts, width)`` for a list.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._call_options(kwargs)
        one = self._is_one(inputs)
        if options._waits and one:
            raise options.lacks_ranges("a single text")
        found = self._call(inputs, options)
        if options._waits and not isinstance(found, list):
            raise options.lacks_ranges("a stream")
        if one or not isinstance(found, list) or not found:
            return found
        if options._waits:
            bits = quantize_embeddings(np.stack(found), options.precision)
            return bits if options.return_tensors else bits.tolist()
        return np.stack(found) if options.return_tensors and options.pooling else found

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

    def _prepare(self) -> None:
        modules = self.bundle.sentence_modules()
        self.modules = modules if modules and modules.pooling else None
        """What sentence-transformers does after the encoder; ``None`` where nothing is said."""
        self._embedder = Embedder(self.bundle, self.modules) if self.modules else None

    def _completed(self, options: FeatureExtractionOptions) -> FeatureExtractionOptions:
        if options.pooling == OWN_OUTPUT and OWN_OUTPUT not in self.runner.engine.output_names:
            raise InputError(
                f"pooling is {options.pooling!r}, but {self.bundle.model_path.name} has no such "
                "output; expected 'mean', 'cls', 'max' or None"
            )
        options = options.completed(self.modules)
        if options._pools and self.modules and not self.modules.include_prompt and options._prompt:
            return replace(options, _skipped=self._prompt_tokens(options._prompt, options))
        return options

    def _prompt_tokens(self, prompt: str, options: FeatureExtractionOptions) -> int:
        """Tokens at the start of a text that a prompt takes, special ones included."""
        row = self.runner.tokenizer.cut_to(options.max_length).encode(prompt)
        number: int = len(row.ids) - row.special_tokens_mask[-1]
        return number

    def _group(self, options: FeatureExtractionOptions) -> int:
        # Every token's vector is large, and larger still as a list: hold few of them.
        return GROUP if options.pooling else _TOKEN_GROUP

    def _weights(self, options: FeatureExtractionOptions) -> tuple[int, int]:
        size = self.bundle.config.raw.get("hidden_size")
        # A vector of a token becomes a list of numbers, which takes eight times its bytes.
        width = size if isinstance(size, int) and size > 0 else 4096
        return (8 * width, 0) if options.pooling else (0, 36 * width)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: FeatureExtractionOptions
    ) -> Prepared[TextInput, Encodings]:
        """One row per text: see :meth:`Pipeline.preprocess`."""
        texts = [text_input(item, i) for i, item in enumerate(inputs, first)]
        if options._prompt:
            texts = [with_prompt(text, options._prompt) for text in texts]
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
        if options.pooling == OWN_OUTPUT:
            rows = list(outputs[OWN_OUTPUT])
        else:
            texts = batch.split(outputs["last_hidden_state"])
            with np.errstate(invalid="ignore", over="ignore"):  # looked for in the next line
                rows = [self._vector(text, options) for text in texts]
        if options.truncate_dim is not None:
            rows = [row[: options.truncate_dim] for row in rows]
        kept = [row if is_finite(row) else None for row in rows]
        if options.normalize:
            return [None if row is None else l2_normalize(row) for row in kept]
        # A view would keep the whole batch alive.
        return [None if row is None else row.copy() for row in kept]

    def _vector(self, hidden: Floats, options: FeatureExtractionOptions) -> Floats:
        """One text's vectors, or the one vector that is asked for."""
        if options._pools and self._embedder:
            return self._embedder.embed(hidden, options._skipped)
        return pool(hidden, options.pooling) if isinstance(options.pooling, str) else hidden[None]

    def postprocess(
        self,
        item: TextInput,
        encodings: Encodings,
        own: range,
        kept: Sequence[Floats],
        options: FeatureExtractionOptions,
    ) -> Array | Embedding | TokenVectors:
        """A text's vectors as an array or as lists: see :meth:`Pipeline.postprocess`."""
        found: Any = kept[0]
        if options._waits:
            return found  # type: ignore[no-any-return]  # the whole list gets its numbers at last
        if options.precision != "float32":
            found = quantize_embeddings(found, options.precision, options.ranges)
        vectors: Array | Embedding | TokenVectors = (
            found if options.return_tensors else found.tolist()
        )
        return vectors
