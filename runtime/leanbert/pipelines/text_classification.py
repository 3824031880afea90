"""``text-classification``: which label each text has, as ``transformers`` answers it.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/text_classification.py``, its oddities included: one string gives a list
with one dictionary, one text pair a bare dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from leanbert.engines import ModelOutputs
from leanbert.errors import InputError
from leanbert.numerics import Floats, apply_function
from leanbert.pipelines.base import NOT_GIVEN, NotGiven, Pipeline
from leanbert.tokenization import ModelInputs

_FUNCTIONS = ("sigmoid", "softmax", "none")


class TextClassificationPipeline(Pipeline):
    """Score texts or text pairs against the model's labels.

    Args:
        bundle: a bundle exported for text-classification.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "text-classification"
    aliases = ("sentiment-analysis",)
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    arguments = frozenset({"top_k", "function_to_apply"})

    def __call__(
        self,
        inputs: object,
        *,
        top_k: int | NotGiven | None = NOT_GIVEN,
        function_to_apply: str | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Classify one text, a list of texts, or whatever an iterable yields.

        Args:
            inputs: a string, ``{"text": …, "text_pair": …}``, a list of these, or any other
                iterable of them, which gives a lazy iterator.
            top_k: how many labels, best first; ``None`` for all. If not given, the best one,
                not wrapped in a list of its own.
            function_to_apply: ``"sigmoid"``, ``"softmax"`` or ``"none"``; by default what the
                config's ``problem_type`` asks for.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :meth:`leanbert.pipelines.encoder.Encoder.map`; ``padding`` is accepted and
                changes nothing.

        Returns:
            ``[{"label": str, "score": float}]`` for one string, a list of such dictionaries for
            a list, lists of lists with ``top_k``.

        Raises:
            InputError: an input or an argument cannot be used.
        """
        options = self._options({"top_k": top_k, "function_to_apply": function_to_apply, **kwargs})
        found = self._dispatch(inputs, partial(self._answers, options=options))
        return [found] if isinstance(inputs, str) and top_k is NOT_GIVEN else found

    @staticmethod
    def _is_one(inputs: object) -> bool:
        """A text or pair, or ``[[text, pair]]``, which transformers still reads as one pair."""
        old_pair = (
            isinstance(inputs, list)
            and len(inputs) == 1
            and isinstance(inputs[0], list)
            and len(inputs[0]) == 2
        )
        return old_pair or isinstance(inputs, (str, Mapping))

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        options = self._merged(given)
        top_k = options.get("top_k", 1)
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise InputError(f"top_k is {top_k!r}; it must be a number from 1, or None for all")
        function = options.get("function_to_apply") or self.bundle.config.default_function
        if str(function).lower() not in _FUNCTIONS:
            raise InputError(
                f"function_to_apply is {function!r}; expected one of {', '.join(_FUNCTIONS)}"
            )
        options["function_to_apply"] = str(function).lower()
        return options

    def _answers(self, items: Iterable[object], options: dict[str, Any]) -> Iterator[Any]:
        function = options["function_to_apply"]
        bare = "top_k" not in options
        top_k = options.get("top_k", 1)

        def decode(outputs: ModelOutputs, _: ModelInputs) -> list[Any]:
            logits = outputs["logits"]
            self.bundle.check_num_labels(logits.shape[-1])
            scores = apply_function(function, logits)
            return [self._best(row) if bare else self._ranked(row, top_k) for row in scores]

        return self._map(items, decode, options)

    def _best(self, scores: Floats) -> dict[str, Any]:
        best = int(scores.argmax())
        return {"label": self.labels[best], "score": float(scores[best])}

    def _ranked(self, scores: Floats, top_k: int | None) -> list[dict[str, Any]]:
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"label": self.labels[i], "score": float(scores[i])} for i in order]
