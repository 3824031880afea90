"""``fill-mask``: the words that fit where a text has the mask token.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/fill_mask.py``, its oddities included: a list with one text gives that
text's answer without a list around it, and a text with several masks a list for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.arguments import check_count, merge_tokenizer_kwargs
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import InputError, TaskError, warn
from leanbert.numerics import Floats, softmax
from leanbert.pipelines.closures import ClosurePipeline
from leanbert.pipelines.options import NOT_GIVEN, NotGiven
from leanbert.tokenization.vocabulary import Vocabulary

_MOST_LOGITS = 1 << 23
"""Values of one batch's logits: each token has one for every word of the vocabulary (32 MiB)."""
_FEWEST_TOKENS = 64


class FillMaskPipeline(ClosurePipeline):
    """Say which tokens fit in the place of each mask.

    Args:
        bundle: a bundle exported for fill-mask.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.

    Raises:
        TaskError: the model does not do this task, or its tokenizer has no mask token.
    """

    task = "fill-mask"
    required_outputs = {"logits": 3}  # noqa: RUF012 - read-only by its type
    arguments = frozenset({"top_k", "targets", "tokenizer_kwargs"})

    def _prepare(self) -> None:
        bundle = self.bundle
        self._vocabulary = Vocabulary(self.runner.tokenizer)
        if self._vocabulary.mask_token_id is None:
            raise TaskError(
                f"{bundle.tokenizer_path}: no mask token, so {self.task} cannot be done; "
                "take the tokenizer of a masked language model"
            )
        self._mask_id: int = self._vocabulary.mask_token_id
        words = bundle.config.raw.get("vocab_size")
        if isinstance(words, int) and words > 0:
            budget = max(_FEWEST_TOKENS, _MOST_LOGITS // words)
            self.runner.max_tokens = min(self.runner.max_tokens, budget)

    def __call__(
        self,
        inputs: object,
        *,
        targets: str | Sequence[str] | NotGiven | None = NOT_GIVEN,
        top_k: int | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Fill the masks of one text, a list of texts, or whatever an iterable yields.

        Args:
            inputs: a string with the mask token in it, a list of these, or any other iterable of
                them, which gives a lazy iterator.
            targets: the only tokens to score, one or a list. One that the vocabulary lacks counts
                as its first token, with a warning.
            top_k: how many tokens for each mask, best first; 5 by default, at most all.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`; ``tokenizer_kwargs``, a mapping,
                may hold the first two.

        Returns:
            For each text a list of ``{"score": float, "token": int, "token_str": str,
            "sequence": str}``, or with several masks a list of these lists, in which the other
            masks stay as they are. Scores are of one mask each, not joint.

        Raises:
            InputError: a text has no mask, or an argument cannot be used.
        """
        options = self._merged({"targets": targets, "top_k": top_k, **kwargs})
        options = merge_tokenizer_kwargs(options, "tokenizer_kwargs")
        check_count("top_k", options.get("top_k"))
        wanted = options.get("targets")
        target_ids = None if wanted is None else self._target_ids(wanted)
        found = self._dispatch(
            inputs, partial(self._answers, options=options, target_ids=target_ids)
        )
        alone = isinstance(inputs, list) and len(inputs) == 1
        return found[0] if alone else found

    def _target_ids(self, targets: object) -> npt.NDArray[np.int64]:
        """Each target's id once, in the order given."""
        words = [targets] if isinstance(targets, str) else targets
        if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
            raise InputError(f"targets is {targets!r}; expected a string or a list of strings")
        tokenizer = self.runner.tokenizer
        found: dict[int, None] = {}
        for word in words:
            token_id = tokenizer.token_to_id(word)
            if token_id is None:
                token_id = self._vocabulary.first_id(word)
                told = "is ignored"
                if token_id is not None:
                    told = f"counts as {tokenizer.id_to_token(token_id)!r}"
                warn(f"target {word!r} is not in the model's vocabulary and {told}")
            if token_id is not None:
                found[token_id] = None
        if not found:
            raise InputError("targets names no token of the vocabulary; give one at least")
        return np.fromiter(found, dtype=np.int64)

    def _answers(
        self,
        items: Iterable[object],
        options: dict[str, Any],
        target_ids: npt.NDArray[np.int64] | None,
    ) -> Iterator[Any]:
        top_k = options.get("top_k") or 5

        def decode(outputs: ModelOutputs, batch: Batch) -> list[Any]:
            texts = zip(batch.split(batch.input_ids), batch.split(outputs["logits"]), strict=True)
            return [self._fill(ids, logits, top_k, target_ids) for ids, logits in texts]

        return self._map(items, decode, options)

    def _fill(
        self,
        ids: npt.NDArray[np.int32],
        logits: Floats,
        top_k: int,
        target_ids: npt.NDArray[np.int64] | None,
    ) -> Any:
        """One text's answer. *Shape:* ``(tokens,)``, ``(tokens, vocabulary)``."""
        masks = np.flatnonzero(ids == self._mask_id)
        if not len(masks):
            text = self._vocabulary.decode(ids[:40].tolist(), skip_special_tokens=True)
            raise InputError(
                f"no mask token ({self._vocabulary.mask_token}) in the {len(ids)} tokens that the "
                f"model sees of {text[:60]!r}; put it where a word is to be found"
            )
        scores = softmax(logits[masks])
        if target_ids is not None:
            scores = scores[:, target_ids]
        alone = len(masks) == 1
        answers = []
        for position, row in zip(masks, scores, strict=True):
            best = _largest(row, top_k)
            tokens = best if target_ids is None else target_ids[best]
            answers.append(
                [
                    self._answer(ids, int(position), int(token), float(score), alone=alone)
                    for token, score in zip(tokens, row[best], strict=True)
                ]
            )
        return answers[0] if alone else answers

    def _answer(
        self, ids: npt.NDArray[np.int32], position: int, token: int, score: float, *, alone: bool
    ) -> dict[str, Any]:
        filled = ids.copy()
        filled[position] = token
        filled = filled[filled != self.bundle.config.pad_token_id]
        # Skipping special tokens would hide the other masks, so they all stay where there are any.
        sequence = self._vocabulary.decode(filled.tolist(), skip_special_tokens=alone)
        return {
            "score": score,
            "token": token,
            "token_str": self._vocabulary.decode([token]),
            "sequence": sequence,
        }


def _largest(row: Floats, count: int) -> npt.NDArray[np.int64]:
    """Indices of the ``count`` largest values, the largest first; of equals the first."""
    count = min(count, len(row))
    # The vocabulary is long and count short: sort only what is in question.
    found = np.sort(np.argpartition(-row, count - 1)[:count])
    return found[np.argsort(-row[found], kind="stable")]
