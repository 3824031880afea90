"""``text-ranking``: how well documents answer a query, by a cross-encoder.

Query and document are one pair for the model, scored as sentence-transformers 5.1 does it
(``sentence_transformers/cross_encoder/CrossEncoder.py``, ``predict`` and ``rank``): the function
that the config names (``sentence_transformers.activation_fn``, before version 4
``sbert_ce_default_activation_function``), else the sigmoid of a single logit, and several logits as
they are. Transformers itself has no pipeline of this name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from leanbert.arguments import check_count
from leanbert.bundle import Bundle
from leanbert.errors import BundleCorruptError, InputError, TaskError
from leanbert.numerics import Floats, apply_function
from leanbert.pipelines.closures import ClosurePipeline
from leanbert.pipelines.options import NOT_GIVEN, NotGiven
from leanbert.tokenization import Encodings

_FUNCTIONS = ("sigmoid", "softmax", "none")
_TORCH = {"Sigmoid": "sigmoid", "Identity": "none"}


@dataclass(frozen=True)
class _Query:
    """One input: its pairs, and the documents where they are to be ranked."""

    pairs: list[tuple[str, str]]
    documents: list[str] | None = None


class TextRankingPipeline(ClosurePipeline):
    """Score pairs of texts, or rank documents for a query.

    Args:
        bundle: a text-classification bundle of a cross-encoder.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.

    Raises:
        BundleCorruptError: the config names an activation that LeanBERT does not know.
    """

    task = "text-ranking"
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    export_task = "text-classification"
    arguments = frozenset({"top_k", "return_documents", "function_to_apply"})

    def _prepare(self) -> None:
        self._function = _default_function(self.bundle)

    def __call__(
        self,
        inputs: object,
        *,
        top_k: int | NotGiven | None = NOT_GIVEN,
        return_documents: bool | NotGiven = NOT_GIVEN,
        function_to_apply: str | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Score one pair or query, a list of them, or whatever an iterable yields.

        Args:
            inputs: a pair ``(query, document)`` or ``{"text": …, "text_pair": …}``; or
                ``{"query": …, "documents": […]}`` to be ranked; or a list, or any other iterable,
                of these.
            top_k: how many documents of a query, best first; ``None``, the default, for all.
            return_documents: with each document's text.
            function_to_apply: ``"sigmoid"``, ``"softmax"`` or ``"none"``; by default as
                sentence-transformers chooses (see the module).
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
        options = self._merged(
            {
                "top_k": top_k,
                "return_documents": return_documents,
                "function_to_apply": function_to_apply,
                **kwargs,
            }
        )
        check_count("top_k", options.get("top_k"))
        function = options.get("function_to_apply") or self._function
        if function not in _FUNCTIONS:
            raise InputError(
                f"function_to_apply is {function!r}; expected one of {', '.join(_FUNCTIONS)}"
            )
        return self._dispatch(inputs, partial(self._answers, function=function, options=options))

    @staticmethod
    def _is_one(inputs: object) -> bool:
        """A mapping, or two strings, which are one pair as sentence-transformers reads them."""
        return isinstance(inputs, (str, Mapping)) or len(_strings(inputs) or []) == 2

    def _answers(
        self, items: Iterable[object], function: str, options: dict[str, Any]
    ) -> Iterator[Any]:
        def encode(queries: Sequence[_Query], first: int) -> tuple[Encodings, list[int]]:
            encodings = self.runner.tokenizer.encode(
                [pair for query in queries for pair in query.pairs],
                truncation=options.get("truncation"),
                max_length=options.get("max_length"),
                first_index=first,
            )
            return encodings, [len(query.pairs) for query in queries]

        def answer(query: _Query, _: Encodings, __: range, rows: Sequence[Floats]) -> Any:
            scores = [apply_function(function, row).tolist() for row in rows]
            if query.documents is not None:
                return _ranked([score[0] for score in scores], query.documents, options)
            return scores[0][0] if len(scores[0]) == 1 else scores[0]

        queries = (self._query(item, number) for number, item in enumerate(items))
        return self._map_rows(queries, encode, self._logits, answer, options)

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
    scores: Sequence[float], documents: Sequence[str], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[: options.get("top_k")]
    ranked: list[dict[str, Any]] = [{"corpus_id": i, "score": scores[i]} for i in order]
    if options.get("return_documents"):
        for row in ranked:
            row["text"] = documents[row["corpus_id"]]
    return ranked


def _default_function(bundle: Bundle) -> str:
    raw = bundle.config.raw
    own = raw.get("sentence_transformers")
    named = own.get("activation_fn") if isinstance(own, Mapping) else None
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
