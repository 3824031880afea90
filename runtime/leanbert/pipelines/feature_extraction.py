"""``feature-extraction``: token vectors, or one embedding a text.

Without ``pooling`` the result is that of transformers 4.57,
``transformers/pipelines/feature_extraction.py``: nested lists, ``[1][tokens][width]`` for a text.
With it, each text gives one vector, as sentence-transformers pools; an export of such a model may
pool in its own graph, whose output ``sentence_embedding`` is then asked for by that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from leanbert.arguments import merge_tokenizer_kwargs
from leanbert.batching import GROUP
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, cls_pool, l2_normalize, max_pool, mean_pool
from leanbert.pipelines.closures import ClosurePipeline
from leanbert.pipelines.options import NOT_GIVEN, NotGiven

_TOKEN_GROUP = 64  # texts
_POOLED = {"mean": mean_pool, "max": max_pool, "cls": cls_pool}
_OWN = "sentence_embedding"
_POOLINGS = ("mean", "cls", "max", _OWN, None)


class FeatureExtractionPipeline(ClosurePipeline):
    """Turn texts into the encoder's vectors.

    Args:
        bundle: a bundle exported for feature-extraction.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "feature-extraction"
    required_outputs = {"last_hidden_state": 3}  # noqa: RUF012 - read-only by its type
    arguments = frozenset({"pooling", "normalize", "return_tensors", "tokenize_kwargs"})

    def __call__(
        self,
        inputs: object,
        *,
        pooling: str | NotGiven | None = NOT_GIVEN,
        normalize: bool | NotGiven = NOT_GIVEN,
        return_tensors: str | bool | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
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
        options = self._merged(
            {
                "pooling": pooling,
                "normalize": normalize,
                "return_tensors": return_tensors,
                **kwargs,
            }
        )
        options = merge_tokenizer_kwargs(options, "tokenize_kwargs")
        pool = options.get("pooling")
        if pool not in _POOLINGS:
            raise InputError(f"pooling is {pool!r}; expected 'mean', 'cls', 'max' or None")
        if pool == _OWN and _OWN not in self.runner.engine.output_names:
            raise InputError(
                f"pooling is {pool!r}, but {self.bundle.model_path.name} has no such output; "
                "expected 'mean', 'cls', 'max' or None"
            )
        arrays = options.get("return_tensors") or None
        if arrays not in (None, True, "np"):
            raise InputError(f'return_tensors is {arrays!r}; LeanBERT makes "np" arrays only')
        found = self._dispatch(inputs, partial(self._vectors, options=options))
        stacked = arrays and pool and isinstance(inputs, (list, tuple)) and found
        return np.stack(found) if stacked else found

    def _vectors(self, items: Iterable[object], options: dict[str, Any]) -> Iterator[Any]:
        pooling, normalize = options.get("pooling"), options.get("normalize")
        as_array = bool(options.get("return_tensors"))

        def decode(outputs: ModelOutputs, batch: Batch) -> list[Any]:
            texts = batch.split(outputs["last_hidden_state"])
            rows: list[Floats]
            if pooling == _OWN:
                rows = list(outputs[_OWN])
            elif pooling:
                rows = [_POOLED[pooling](text) for text in texts]
            else:
                rows = [text[None] for text in texts]
            if normalize:
                rows = [l2_normalize(row) for row in rows]
            return [row.copy() for row in rows]  # a view would keep the whole batch alive

        # Every token's vector is large, and larger still as a list: hold few of them.
        vectors = self._map(items, decode, options, GROUP if pooling else _TOKEN_GROUP)
        return (row if as_array else row.tolist() for row in vectors)
