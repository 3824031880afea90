"""``fill-mask``: the words that fit where a text has the mask token.

Arguments, defaults and the structure of results follow transformers 4.57,
``transformers/pipelines/fill_mask.py``, its oddities included: a list with one text gives that
text's answer without a list around it, and a text with several masks a list for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from leanbert.arguments import check_count
from leanbert.batching import Prepared
from leanbert.engines import Batch, ModelOutputs
from leanbert.engines.batch import Ints
from leanbert.errors import InputError, TaskError, warn
from leanbert.numerics import Floats
from leanbert.pipelines.answers import FilledMask, FilledMasks
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.options import CallOptions, take_tokenizer_arguments
from leanbert.scores import scores_of
from leanbert.tokenization import Encodings, TextInput, text_input
from leanbert.tokenization.vocabulary import Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import FillMaskKeywords as Keywords
    from leanbert.pipelines.keywords import Lazy, Many

_MOST_LOGITS = 1 << 23
"""Values of one batch's logits: each token has one for every word of the vocabulary (32 MiB)."""
_FEWEST_TOKENS = 64

_Best: TypeAlias = "tuple[npt.NDArray[Any], Floats]"
"""The best tokens of a mask, and their scores."""


@dataclass(frozen=True)
class FillMaskOptions(CallOptions):
    """The arguments of a call: see :meth:`FillMaskPipeline.__call__`."""

    targets: str | Sequence[str] | None = None
    """The only tokens to score."""
    top_k: int = 5
    """How many tokens for each mask."""
    _target_ids: Ints | None = None
    """The targets' ids, each once, in the order given."""

    aliases: ClassVar[Mapping[str, str]] = {"tokenizer_kwargs": "truncation"}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("top_k", self.top_k)
        if self.targets is not None and not (
            isinstance(self.targets, Sequence) and all(isinstance(t, str) for t in self.targets)
        ):
            raise InputError(f"targets is {self.targets!r}; expected a string or a list of strings")

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """See :meth:`CallOptions.canonical`; the mapping for the tokenizer is taken apart."""
        return super().canonical(take_tokenizer_arguments(given, "tokenizer_kwargs"), task)


class FillMaskPipeline(Pipeline[FillMaskOptions]):
    """Say which tokens fit in the place of each mask.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.

    Raises:
        TaskError: also where the tokenizer has no mask token.
    """

    task = "fill-mask"
    required_outputs = {"logits": 3}  # noqa: RUF012 - read-only by its type
    options_type = FillMaskOptions

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

    @overload
    def __call__(self, inputs: str, **kwargs: Unpack[Keywords]) -> FilledMasks: ...
    @overload
    def __call__(
        self, inputs: Many[str], **kwargs: Unpack[Keywords]
    ) -> list[FilledMasks] | Any: ...
    @overload
    def __call__(self, inputs: Lazy[str], **kwargs: Unpack[Keywords]) -> Iterator[FilledMasks]: ...
    def __call__(self, inputs: object, **kwargs: Any) -> Any:
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
        found = self._call(inputs, self._call_options(kwargs))
        alone = isinstance(inputs, list) and len(inputs) == 1
        return found[0] if alone else found

    if TYPE_CHECKING:  # the base has it; here are its types

        def stream(  # noqa: D102
            self, inputs: Lazy[str], **kwargs: Unpack[Keywords]
        ) -> Iterator[FilledMasks]: ...

    def _completed(self, options: FillMaskOptions) -> FillMaskOptions:
        if options.targets is None:
            return options
        targets = [options.targets] if isinstance(options.targets, str) else options.targets
        return replace(options, _target_ids=self._ids_of(targets))

    def _ids_of(self, targets: Sequence[str]) -> Ints:
        """Each target's id once, in the order given."""
        tokenizer = self.runner.tokenizer
        found: dict[int, None] = {}
        for word in targets:
            token_id = tokenizer.token_to_id(word)
            if token_id is None:
                token_id = self._vocabulary.first_id(word)
                fate = "is ignored"
                if token_id is not None:
                    fate = f"counts as {tokenizer.id_to_token(token_id)!r}"
                warn(f"target {word!r} is not in the model's vocabulary and {fate}")
            if token_id is not None:
                found[token_id] = None
        if not found:
            raise InputError("targets names no token of the vocabulary; give one at least")
        return np.fromiter(found, dtype=np.int32)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: FillMaskOptions
    ) -> Prepared[TextInput, Encodings]:
        """One row per text: see :meth:`Pipeline.preprocess`.

        Raises:
            InputError: also where a text has no mask in the tokens that the model sees.
        """
        texts = [text_input(item, i) for i, item in enumerate(inputs, first)]
        encodings = self.runner.tokenizer.encode(
            texts,
            truncation=options.truncation,
            max_length=options.max_length,
            strategy=options._strategy,
            first_index=first,
        )
        for ids in encodings.split(encodings.input_ids):
            if self._mask_id not in ids:
                text = self._vocabulary.decode(ids[:40].tolist(), skip_special_tokens=True)
                raise InputError(
                    f"no mask token ({self._vocabulary.mask_token}) in the {len(ids)} tokens that "
                    f"the model sees of {text[:60]!r}; put it where a word is to be found"
                )
        return Prepared(texts, encodings)

    def _weights(self, options: FillMaskOptions) -> tuple[int, int]:
        return 200 * options.top_k, 0

    def keep(
        self, outputs: ModelOutputs, batch: Batch, options: FillMaskOptions
    ) -> list[list[_Best] | None]:
        """The best tokens of each mask and their scores."""
        targets = options._target_ids
        kept: list[list[_Best] | None] = []
        for i, ids in enumerate(batch.split(batch.input_ids)):
            logits = outputs["logits"][batch.place(i)][ids == self._mask_id]
            scores, sound = scores_of("softmax", logits)
            if not sound:
                kept.append(None)
                continue
            if targets is not None:
                scores = scores[:, targets]
            best = [_largest(row, options.top_k) for row in scores]
            kept.append(
                [
                    (chosen if targets is None else targets[chosen], row[chosen])
                    for chosen, row in zip(best, scores, strict=True)
                ]
            )
        return kept

    def postprocess(
        self,
        item: TextInput,
        encodings: Encodings,
        own: range,
        kept: Sequence[list[_Best]],
        options: FillMaskOptions,
    ) -> FilledMasks:
        """The tokens of the only mask, or a list of them per mask: see the base's method."""
        ids = encodings.input_ids[encodings.place(own[0])]
        positions = np.flatnonzero(ids == self._mask_id).tolist()
        alone = len(positions) == 1
        answers = [
            [
                self._filled(ids, position, token, score, alone=alone)
                for token, score in zip(tokens.tolist(), scores.tolist(), strict=True)
            ]
            for position, (tokens, scores) in zip(positions, kept[0], strict=True)
        ]
        return answers[0] if alone else answers

    def _filled(
        self, ids: Ints, position: int, token: int, score: float, *, alone: bool
    ) -> FilledMask:
        """One token in the place of one mask. *Shape:* ids ``(tokens,)``."""
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
