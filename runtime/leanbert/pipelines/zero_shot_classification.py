"""``zero-shot-classification``: labels chosen at the call, judged by a model of entailment.

Each text and each label, put into the hypothesis, is one pair for the model. Arguments, defaults
and the structure of results follow transformers 4.57,
``transformers/pipelines/zero_shot_classification.py``. One thing differs: it refuses an empty
text, and here that is a text like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from leanbert.arguments import check_flag, check_text
from leanbert.batching import Prepared
from leanbert.bundle import Bundle
from leanbert.engines import Batch, ModelOutputs
from leanbert.errors import BundleCorruptError, InputError, warn
from leanbert.numerics import Floats, is_finite, softmax
from leanbert.pipelines.answers import ZeroShotAnswer
from leanbert.pipelines.base import Pipeline
from leanbert.pipelines.options import CallOptions
from leanbert.tokenization import Segments, segment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from leanbert.pipelines.keywords import Lazy, Many
    from leanbert.pipelines.keywords import ZeroShotClassificationKeywords as Keywords


@dataclass(frozen=True)
class ZeroShotClassificationOptions(CallOptions):
    """The arguments of a call: see :meth:`ZeroShotClassificationPipeline.__call__`."""

    candidate_labels: Sequence[str] | None = None
    hypothesis_template: str = "This example is {}."
    multi_label: bool = False
    _hypotheses: Sequence[str] = ()
    """The template with each label in it."""

    aliases: ClassVar[Mapping[str, str]] = {"multi_class": "multi_label"}
    nullable: ClassVar[frozenset[str]] = CallOptions.nullable | {"candidate_labels"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.candidate_labels is not None:
            _check_labels(self.candidate_labels)
        _check_template(self.hypothesis_template)
        check_flag("multi_label", self.multi_label)

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """See :meth:`CallOptions.canonical`; one string of labels is split at its commas."""
        if given.get("multi_class") is not None:
            warn("multi_class is deprecated, as in transformers; pass multi_label")
        found = super().canonical(given, task)
        labels = found.get("candidate_labels")
        if isinstance(labels, str):
            parts = (label.strip() for label in labels.split(","))
            found["candidate_labels"] = [label for label in parts if label]
        return found


class ZeroShotClassificationPipeline(Pipeline[ZeroShotClassificationOptions]):
    """Score texts against labels that the model was not trained for.

    The bundle is one of text-classification, of a model that was trained on natural language
    inference: one of its labels begins with ``entail``.

    The arguments of the class, and what it raises, are those of :class:`Pipeline`.
    """

    task = "zero-shot-classification"
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    export_task = "text-classification"
    options_type = ZeroShotClassificationOptions

    def _prepare(self) -> None:
        self._entailment = _entailment_id(self.bundle)
        # As transformers chooses it: the first label, or the last where the first is entailment.
        self._contradiction = -1 if self._entailment == 0 else 0

    @overload
    def __call__(
        self,
        sequences: str,
        candidate_labels: str | Sequence[str] = ...,
        **kwargs: Unpack[Keywords],
    ) -> ZeroShotAnswer: ...
    @overload
    def __call__(
        self,
        sequences: Many[str],
        candidate_labels: str | Sequence[str] = ...,
        **kwargs: Unpack[Keywords],
    ) -> list[ZeroShotAnswer]: ...
    @overload
    def __call__(
        self,
        sequences: Lazy[str],
        candidate_labels: str | Sequence[str] = ...,
        **kwargs: Unpack[Keywords],
    ) -> Iterator[ZeroShotAnswer]: ...
    def __call__(self, sequences: object, *labels: object, **kwargs: Any) -> Any:
        """Judge one text, a list of texts, or whatever an iterable yields.

        Args:
            sequences: a string, a list of strings, or any other iterable of them, which gives a
                lazy iterator.
            labels: ``candidate_labels``, which may also be given by name: a list of labels, or one
                string with commas between them.
            hypothesis_template: what is said of the text, ``{}`` where the label goes.
            multi_label: whether several labels may be true: each is then judged by entailment
                against contradiction. Otherwise the labels' scores sum to 1.
            kwargs: ``truncation``, ``max_length``, ``batch_size``: see
                :class:`~leanbert.pipelines.options.CallOptions`. Only the text is cut, never the
                hypothesis.

        Returns:
            ``{"sequence": str, "labels": list[str], "scores": list[float]}``, best label first; a
            list of these for a list.

        Raises:
            InputError: a text or an argument cannot be used.
        """
        if labels:
            if len(labels) > 1 or "candidate_labels" in kwargs:
                raise InputError("give candidate_labels once, as a list or one string with commas")
            kwargs["candidate_labels"] = labels[0]
        options = self._call_options(kwargs)
        if options.candidate_labels is None:
            raise InputError("candidate_labels is None; give the labels to choose from")
        return self._call(sequences, options)

    if TYPE_CHECKING:  # the base has it; here are its types

        def stream(  # noqa: D102
            self,
            inputs: Lazy[str],
            candidate_labels: str | Sequence[str] = ...,
            **kwargs: Unpack[Keywords],
        ) -> Iterator[ZeroShotAnswer]: ...

    def _completed(self, options: ZeroShotClassificationOptions) -> ZeroShotClassificationOptions:
        if options.candidate_labels is None:
            return options
        template = options.hypothesis_template
        hypotheses = [template.format(label) for label in options.candidate_labels]
        self._check_room(hypotheses, options.max_length)
        return replace(options, _hypotheses=hypotheses)

    def preprocess(
        self, inputs: Sequence[object], first: int, options: ZeroShotClassificationOptions
    ) -> Prepared[str, Segments]:
        """One row for each text and label: see :meth:`Pipeline.preprocess`."""
        texts = [check_text(item, i) for i, item in enumerate(inputs, first)]
        number = len(options._hypotheses)
        segments = segment(
            self.runner.tokenizer,
            [(text, hypothesis) for text in texts for hypothesis in options._hypotheses],
            strategy="only_first",
            truncation=options.truncation,
            max_length=options.max_length,
            first_index=first * number,
        )
        return Prepared(texts, segments, [number] * len(texts))

    def keep(
        self,
        outputs: ModelOutputs,
        batch: Batch,
        options: ZeroShotClassificationOptions,
    ) -> list[Floats | None]:
        """Each pair's logits."""
        logits = outputs["logits"]
        self.bundle.check_num_labels(logits.shape[-1])
        # A view would keep the whole batch alive.
        return [row.copy() if is_finite(row) else None for row in logits]

    def postprocess(
        self,
        item: str,
        encodings: Segments,
        own: range,
        kept: Sequence[Floats],
        options: ZeroShotClassificationOptions,
    ) -> ZeroShotAnswer:
        """The labels, best first: see :meth:`Pipeline.postprocess`."""
        labels, logits = options.candidate_labels or (), np.stack(kept)
        if options.multi_label or len(labels) == 1:
            scores = softmax(logits[:, [self._contradiction, self._entailment]])[:, 1]
        else:
            scores = softmax(logits[:, self._entailment])
        order = scores.argsort()[::-1].tolist()
        return {
            "sequence": item,
            "labels": [labels[i] for i in order],
            "scores": [float(scores[i]) for i in order],
        }

    def _check_room(self, hypotheses: Sequence[str], max_length: int | None) -> None:
        """Refuse hypotheses beside which no token of a text has room."""
        tokenizer = self.runner.tokenizer
        length = min(max_length or tokenizer.max_length, tokenizer.max_length)
        room = length - tokenizer.added_tokens(pair=True)
        for said, tokens in zip(hypotheses, tokenizer.count_tokens(hypotheses), strict=True):
            if tokens >= room:
                raise InputError(
                    f"{said[:60]!r}: this hypothesis leaves no room for a text in {length} tokens; "
                    "shorten the label or the template"
                )


def _entailment_id(bundle: Bundle) -> int:
    """The logit of entailment by ``label2id``, or else by ``id2label``; -1 where no label says so.

    Raises:
        BundleCorruptError: ``label2id`` says a number that is none of the logits.
    """
    config = bundle.config
    given = config.raw.get("label2id")
    ids = given if isinstance(given, Mapping) else {v: k for k, v in config.id2label.items()}
    for name, number in ids.items():
        if not str(name).lower().startswith("entail"):
            continue
        found = _whole(number)
        if found is None or not 0 <= found < config.num_labels:
            raise BundleCorruptError(
                f"{bundle.path / 'config.json'}: label2id says {number!r} for {name!r}; expected a "
                f"number from 0 to {config.num_labels - 1}"
            )
        return found
    warn(
        f"{bundle.path / 'config.json'}: no label begins with 'entail', so the last one "
        f"({config.id2label.get(config.num_labels - 1)}) counts as it; zero-shot-classification "
        "needs a model trained on natural language inference"
    )
    return -1


def _whole(number: object) -> int | None:
    """A whole number that a config may say as a string; ``None`` for anything else."""
    if isinstance(number, str) and number.strip().isdecimal():
        return int(number)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _check_labels(given: object) -> None:
    if not isinstance(given, (list, tuple)) or not all(isinstance(label, str) for label in given):
        raise InputError(
            f"candidate_labels is {given!r}; expected a list of strings, or one with commas"
        )
    if not given:
        raise InputError("candidate_labels is empty; give one label at least")


def _check_template(template: object) -> None:
    """Refuse a template that says the same of every label."""
    try:
        filled = {template.format(label) for label in "ab"} if isinstance(template, str) else set()
    except (AttributeError, IndexError, KeyError, ValueError):
        filled = set()
    if len(filled) != 2:
        raise InputError(
            f"hypothesis_template is {template!r}; it needs {{}} where the label shall stand"
        )
