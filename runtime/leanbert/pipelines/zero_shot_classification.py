"""``zero-shot-classification``: labels chosen at the call, judged by a model of entailment.

Each text and each label, put into the hypothesis, is one pair for the model. Arguments, defaults
and the structure of results follow transformers 4.57,
``transformers/pipelines/zero_shot_classification.py``. One thing differs: it refuses an empty
text, and here that is a text like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from leanbert.arguments import check_count, check_text
from leanbert.bundle import Bundle
from leanbert.errors import InputError, warn
from leanbert.numerics import Floats, softmax
from leanbert.pipelines.closures import ClosurePipeline
from leanbert.pipelines.options import NOT_GIVEN, NotGiven
from leanbert.tokenization import Segments, segment

_TEMPLATE = "This example is {}."


class ZeroShotClassificationPipeline(ClosurePipeline):
    """Score texts against labels that the model was not trained for.

    Args:
        bundle: a text-classification bundle of a model trained on natural language inference,
            one of whose labels begins with ``entail``.
        mode: ``"latency"`` or ``"throughput"``: see :func:`leanbert.pipelines.pipeline`.
        threads: cores that one call computes on; ``None`` for all that this process may use.
        engine: who computes: see :func:`leanbert.pipelines.pipeline`.
        defaults: defaults for the arguments of a call.
    """

    task = "zero-shot-classification"
    required_outputs = {"logits": 2}  # noqa: RUF012 - read-only by its type
    export_task = "text-classification"
    arguments = frozenset({"candidate_labels", "hypothesis_template", "multi_label"})

    def _prepare(self) -> None:
        self._entailment = _entailment_id(self.bundle)
        # As transformers chooses it: the first label, or the last where the first is entailment.
        self._contradiction = -1 if self._entailment == 0 else 0

    def __call__(  # type: ignore[override]  # transformers' name for its inputs
        self,
        sequences: object,
        candidate_labels: str | Sequence[str] | NotGiven = NOT_GIVEN,
        *,
        hypothesis_template: str | NotGiven = NOT_GIVEN,
        multi_label: bool | NotGiven = NOT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Judge one text, a list of texts, or whatever an iterable yields.

        Args:
            sequences: a string, a list of strings, or any other iterable of them, which gives a
                lazy iterator.
            candidate_labels: a list of labels, or one string with commas between them.
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
        options = self._merged(
            {
                "candidate_labels": candidate_labels,
                "hypothesis_template": hypothesis_template,
                "multi_label": multi_label,
                **kwargs,
            }
        )
        labels = _labels(options.get("candidate_labels"))
        template = options.get("hypothesis_template", _TEMPLATE)
        _check_template(template, labels[0])
        return self._dispatch(
            sequences,
            partial(self._answers, labels=labels, template=template, options=options),
        )

    def _answers(
        self, items: Iterable[object], labels: list[str], template: str, options: dict[str, Any]
    ) -> Iterator[Any]:
        hypotheses = [template.format(label) for label in labels]
        self._check_room(hypotheses, options.get("max_length"))
        independent = bool(options.get("multi_label")) or len(labels) == 1

        def encode(texts: Sequence[str], first: int) -> tuple[Segments, list[int]]:
            pairs = [(text, said) for text in texts for said in hypotheses]
            segments = segment(
                self.runner.tokenizer,
                pairs,
                strategy="only_first",
                truncation=options.get("truncation"),
                max_length=options.get("max_length"),
                first_index=first * len(hypotheses),
            )
            return segments, [len(hypotheses)] * len(texts)

        def answer(text: str, _: Segments, __: range, rows: Sequence[Floats]) -> dict[str, Any]:
            logits = np.stack(rows)
            if independent:
                both = logits[:, [self._contradiction, self._entailment]]
                scores = softmax(both)[:, 1]
            else:
                scores = softmax(logits[:, self._entailment])
            order = scores.argsort()[::-1]
            return {
                "sequence": text,
                "labels": [labels[i] for i in order],
                "scores": [float(scores[i]) for i in order],
            }

        texts = (check_text(item, number) for number, item in enumerate(items))
        return self._map_rows(texts, encode, self._logits, answer, options)

    def _check_room(self, hypotheses: Sequence[str], max_length: int | None) -> None:
        """Refuse hypotheses beside which no token of a text has room."""
        check_count("max_length", max_length)
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
    config = bundle.config
    given = config.raw.get("label2id")
    ids = given if isinstance(given, dict) else {name: i for i, name in config.id2label.items()}
    for name, number in ids.items():
        if str(name).lower().startswith("entail") and isinstance(number, int):
            return number
    warn(
        f"{bundle.path / 'config.json'}: no label begins with 'entail', so the last one "
        f"({config.id2label.get(config.num_labels - 1)}) counts as it; zero-shot-classification "
        "needs a model trained on natural language inference"
    )
    return -1


def _labels(given: object) -> list[str]:
    if isinstance(given, str):
        given = [label.strip() for label in given.split(",") if label.strip()]
    if not isinstance(given, (list, tuple)) or not all(isinstance(label, str) for label in given):
        raise InputError(
            f"candidate_labels is {given!r}; expected a list of strings, or one with commas"
        )
    if not given:
        raise InputError("candidate_labels is empty; give one label at least")
    return list(given)


def _check_template(template: object, label: str) -> None:
    try:
        filled = template.format(label) if isinstance(template, str) else template
    except (IndexError, KeyError, ValueError):
        filled = template
    if filled == template and template != label:
        raise InputError(
            f"hypothesis_template is {template!r}; it needs {{}} where the label shall stand"
        )
