"""``text-ranking``: how well documents answer a query, by a cross-encoder.

Query and document are one pair for the model, scored as sentence-transformers 6.2 does it
(``sentence_transformers/cross_encoder/model.py``, ``predict`` and ``rank``): the function that
``config_sentence_transformers.json`` names beside a ``modules.json`` (``activation_fn``), else the
config (``sentence_transformers.activation_fn``, before version 4
``sbert_ce_default_activation_function``), else the sigmoid of a single logit, and several logits as
they are. Transformers itself has no pipeline of this name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, overload

from leanbert.arguments import check_choice, check_count, check_flag
from leanbert.batching import Prepared
from leanbert.bundle import Bundle
from leanbert.bundle.sentence_transformers import SentenceModules
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import BundleCorruptError, InputError, TaskError
from leanbert.numerics import FUNCTIONS
from leanbert.pipelines.answers import RankedDocument, Score
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.prompts import PromptedOptions, prompt_of, with_prompt
from leanbert.scores import rows_of_scores
from leanbert.tokenization import Encodings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import Lazy, Many, Pair, RankingPair, RankingQuery
    from leanbert.pipelines.keywords import TextRankingKeywords as Keywords

_TORCH = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Identity": "none"}


@dataclass(frozen=True)
class _Query:
    """One input: its pairs, and the documents where they are to be ranked."""

    pairs: list[tuple[str, str]]
    documents: list[str] | None = None


@dataclass(frozen=True)
class TextRankingOptions(PromptedOptions):
    """The arguments of a call: see :meth:`TextRankingPipeline.__call__`."""

    top_k: int | None = None
    return_documents: bool = False
    function_to_apply: str | None = None

    nullable: ClassVar[frozenset[str]] = PromptedOptions.nullable | {"top_k"}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("top_k", self.top_k)
        check_flag("return_documents", self.return_documents)
        if self.function_to_apply is not None:
            check_choice("function_to_apply", self.function_to_apply, FUNCTIONS)


class TextRankingPipeline(Pipeline[TextRankingOptions]):
    """Score pairs of texts, or rank documents for a query.

    The bundle is one of text-classification, of a cross-encoder.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.

    Raises:
        BundleCorruptError: also where the config names an activation that LeanBERT does not know.
    """

    task = "text-ranking"
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    export_task = "text-classification"
    options_type = TextRankingOptions

    def _prepare(self) -> None:
        self._modules = self.bundle.sentence_modules()
        self._function = _default_function(self.bundle, self._modules)

    def _completed(self, options: TextRankingOptions) -> TextRankingOptions:
        return replace(options, _prompt=prompt_of(options, self._modules, by_default=True))

    @overload
    def __call__(
        self, inputs: RankingQuery, **kwargs: Unpack[Keywords]
    ) -> list[RankedDocument]: ...
    @overload
    def __call__(self, inputs: RankingPair | Pair, **kwargs: Unpack[Keywords]) -> Score: ...
    @overload
    def __call__(
        self, inputs: Many[RankingQuery], **kwargs: Unpack[Keywords]
    ) -> list[list[RankedDocument]]: ...
    @overload
    def __call__(
        self, inputs: Many[RankingPair | Pair], **kwargs: Unpack[Keywords]
    ) -> list[Score]: ...
    @overload
    def __call__(
        self, inputs: Lazy[RankingQuery], **kwargs: Unpack[Keywords]
    ) -> Iterator[list[RankedDocument]]: ...
    @overload
    def __call__(
        self, inputs: Lazy[RankingPair | Pair], **kwargs: Unpack[Keywords]
    ) -> Iterator[Score]: ...
    def __call__(self, inputs: object, **kwargs: Any) -> Any:
        """Score one pair or query, a list of them, or whatever an iterable yields.

        Args:
            inputs: a pair ``(query, document)`` or ``{"text": …, "text_pair": …}``; or
                ``{"query": …, "documents": […]}`` to be ranked; or a list, or any other iterable,
                of these.
            top_k: how many documents of a query, best first; ``None``, the default, for all.
            return_documents: with each document's text.
            function_to_apply: ``"sigmoid"``, ``"softmax"`` or ``"none"``; by default as
                sentence-transformers chooses (see the module).
            prompt: a text that is put before each query, as it stands.
            prompt_name: the name of one of the bundle's prompts; ``prompt`` goes before it.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`.

        Returns:
            For a pair its score, a float, or a list of floats where the model has several logits.
            For a query ``[{"corpus_id": int, "score": float}]``, best first, with ``"text"`` where
            asked for; ``corpus_id`` counts from 0 in the documents given. A list of these for a
            list.

        Raises:
            InputError: an input or an argument cannot be used.
            TaskError: documents are to be ranked, and the model has several logits.
        """
        return self._call(inputs, self._call_options(kwargs))

    if TYPE_CHECKING:  # the base has it; here are its types

        @overload
        def stream(
            self, inputs: Lazy[RankingQuery], **kwargs: Unpack[Keywords]
        ) -> Iterator[list[RankedDocument]]: ...
        @overload
        def stream(
            self, inputs: Lazy[RankingPair | Pair], **kwargs: Unpack[Keywords]
        ) -> Iterator[Score]: ...
        def stream(self, inputs: Any, *args: Any, **kwargs: Any) -> Iterator[Any]: ...  # noqa: D102

    @staticmethod
    def _is_one(inputs: object) -> bool:
        """A mapping, or two strings, which are one pair as sentence-transformers reads them."""
        return isinstance(inputs, (str, Mapping)) or len(_strings(inputs) or []) == 2

    def preprocess(
        self, inputs: Sequence[object], first: int, options: TextRankingOptions
    ) -> Prepared[_Query, Encodings]:
        """One row per pair, or per document of a query: see :meth:`Pipeline.preprocess`."""
        queries = [self._query(item, i) for i, item in enumerate(inputs, first)]
        encodings = self.runner.tokenizer.encode(
            [with_prompt(pair, options._prompt) for query in queries for pair in query.pairs],
            truncation=options.truncation,
            max_length=options.max_length,
            strategy=options._strategy,
            first_index=first,
        )
        return Prepared(queries, encodings, [len(query.pairs) for query in queries])

    def keep(
        self,
        outputs: ModelOutputs,
        batch: Batch,
        options: TextRankingOptions,
    ) -> list[list[float] | None]:
        """Each pair's scores, one for each logit."""
        logits = outputs["logits"]
        self.bundle.check_num_labels(logits.shape[-1])
        return rows_of_scores(options.function_to_apply or self._function, logits)

    def _text_of(self, item: _Query) -> str:
        return item.pairs[0][0]

    def postprocess(
        self,
        item: _Query,
        encodings: Encodings,
        own: range,
        kept: Sequence[list[float]],
        options: TextRankingOptions,
    ) -> Score | list[RankedDocument]:
        """A pair's score, or the documents in order: see :meth:`Pipeline.postprocess`."""
        if item.documents is not None:
            return _ranked([scores[0] for scores in kept], item.documents, options)
        return kept[0][0] if len(kept[0]) == 1 else kept[0]

    def _query(self, item: object, number: int) -> _Query:
        if isinstance(item, Mapping) and set(item) == {"query", "documents"}:
            query, documents = item["query"], _strings(item["documents"])
            if isinstance(query, str) and documents is not None:
                self._check_one_logit()
                return _Query([(query, text) for text in documents], documents)
        elif isinstance(item, Mapping) and set(item) == {"text", "text_pair"}:
            item = [item["text"], item["text_pair"]]
        pair = _strings(item)
        if pair is not None and len(pair) == 2:
            return _Query([(pair[0], pair[1])])
        raise InputError(
            f'input {number}: expected a pair of strings or {{"query": "…", "documents": ["…"]}}, '
            f"got {type(item).__name__}"
        )

    def _check_one_logit(self) -> None:
        number = self.bundle.config.num_labels
        if number != 1:
            raise TaskError(
                f"{self.bundle.path}: the model gives {number} scores a pair, and documents are "
                "ranked by one; score pairs instead"
            )


def _strings(value: object) -> list[str] | None:
    """A list of strings as such; ``None`` for anything else."""
    listed = isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)
    return list(value) if listed else None  # type: ignore[call-overload]  # just looked at


def _ranked(
    scores: Sequence[float], documents: Sequence[str], options: TextRankingOptions
) -> list[RankedDocument]:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[: options.top_k]
    ranked: list[RankedDocument] = [{"corpus_id": i, "score": scores[i]} for i in order]
    if options.return_documents:
        for row in ranked:
            row["text"] = documents[row["corpus_id"]]
    return ranked


def _default_function(bundle: Bundle, modules: SentenceModules | None) -> str:
    raw, named = bundle.config.raw, modules.activation_fn if modules else None
    own = raw.get("sentence_transformers")
    if named is None and isinstance(own, Mapping):
        named = own.get("activation_fn")
    named = named or raw.get("sbert_ce_default_activation_function")
    if named is None:
        return "sigmoid" if bundle.config.num_labels == 1 else "none"
    function = _TORCH.get(str(named).rpartition(".")[2])  # written as torch.nn.….Sigmoid
    if function is None:
        raise BundleCorruptError(
            f"{bundle.path / 'config.json'}: the activation {named!r} is none of "
            f"{', '.join(_TORCH)}; name one of them"
        )
    return function
