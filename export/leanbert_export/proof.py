"""Compare a graph with PyTorch on real texts: names, then shapes, then values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanbert.bundle import Bundle, Golden, ModelConfig
from leanbert.engines import load_engine
from leanbert.numerics import Floats, apply_function, mean_pool
from leanbert.pipelines.encoder import MAX_TOKENS
from leanbert.scheduling import plan_batches
from leanbert.tokenization import ModelInputs, Tokenizer
from leanbert.verification import golden_answer, golden_values
from leanbert_export.errors import ProofError
from leanbert_export.reference import TorchReference

FP32_ATOL = 1e-4
"""Largest difference between outputs that fp32 summation order explains."""

INT8_MEAN_DIFFERENCE = 0.05
"""Largest mean |difference of probability| (or 1 - cosine) of a bundle that is worth having."""

_GOLDEN_TEXTS = 24
# Measured on the embedded model: a change of 1e-7 in LayerNorm's weights, as another CPU's order of
# summation makes it, moves one int8 logit by up to 0.34, since the scale of a whole tensor moves;
# the mean over the golden texts stays within 8%. Weights cut to 5 bits raise it by 60%.
_MARGIN = 2.0
_MEAN_MARGIN = 1.4


@dataclass(frozen=True)
class Agreement:
    """How near a bundle's answers are to PyTorch fp32."""

    rows: int
    max_output_difference: float
    """Largest absolute difference of a logit or hidden value."""
    mean_difference: float
    """Mean |difference of probability|; for embeddings mean of 1 - cosine."""
    max_difference: float
    """The largest of the same."""
    agreement: float | None
    """Share of texts with the same label; ``None`` where there are no labels."""


@dataclass(frozen=True)
class GoldenBounds:
    """How far from PyTorch ``leanbert verify`` lets the golden answers be."""

    atol: float
    """The largest absolute difference of a value."""
    mean_atol: float
    """The mean absolute difference over all of them."""


def compare(
    bundle: Bundle, reference: TorchReference, texts: Sequence[str], output: str
) -> Agreement:
    """Run ``texts`` through both and measure the distance.

    Raises:
        ProofError: names or shapes differ.
    """
    engine = load_engine(bundle, engine="onnxruntime")
    tokenizer = Tokenizer.of(bundle)
    if output not in engine.output_names:
        raise ProofError(
            f"names: the graph gives {', '.join(engine.output_names)}, PyTorch {output}"
        )
    encodings = tokenizer.encode(list(texts), truncation=True)
    largest = 0.0
    ours: list[Floats] = []
    theirs: list[Floats] = []
    for batch in plan_batches(encodings.lengths, MAX_TOKENS["latency"]):
        inputs = encodings.collate(batch)
        wanted, got = reference.run(inputs), engine.run(inputs)[output]
        if wanted.shape != got.shape:
            raise ProofError(f"shapes: {output} is {got.shape}, in PyTorch {wanted.shape}")
        real = inputs["attention_mask"].astype(bool)
        difference = np.abs(wanted - got)
        worst = (difference[real] if got.ndim == 3 else difference).max()
        largest = float(np.maximum(largest, worst))  # NaN stays, which max() would drop
        ours.append(answers_of(got, inputs, bundle.config))
        theirs.append(answers_of(wanted, inputs, bundle.config))
    return _agreement(np.concatenate(ours), np.concatenate(theirs), largest, output)


def check_values(found: Agreement, *, quantized: bool) -> None:
    """Raise ProofError where the values are further apart than the recipe allows."""
    if not quantized and not found.max_output_difference <= FP32_ATOL:
        raise ProofError(
            f"values: an fp32 output is {found.max_output_difference:.3g} away from PyTorch's, "
            f"allowed is {FP32_ATOL:g}: the graph computes something else"
        )
    if quantized and not found.mean_difference <= INT8_MEAN_DIFFERENCE:
        raise ProofError(
            f"values: int8 is {found.mean_difference:.3g} away from PyTorch on average, allowed "
            f"is {INT8_MEAN_DIFFERENCE:g}: this model does not bear the recipe; use --recipe fp32"
        )


def make_golden(
    bundle: Bundle, reference: TorchReference, texts: Sequence[str]
) -> tuple[list[Golden], GoldenBounds]:
    """PyTorch's answers to texts alone, and the bounds that ``leanbert verify`` holds them to.

    The bounds are 2 times (largest) and 1.4 times (mean) what is measured here, and at least
    fp32's.
    """
    engine, tokenizer = load_engine(bundle, engine="onnxruntime"), Tokenizer.of(bundle)
    golden: list[Golden] = []
    differences: list[Floats] = []
    for text, pair in _golden_texts(texts):
        encoded = tokenizer.encode([text if pair is None else (text, pair)], truncation=True)
        inputs = encoded.collate([0])
        answer = golden_values(reference.run(inputs), inputs)
        item = Golden(text, pair, [float(f"{value:.7g}") for value in answer.tolist()])
        differences.append(np.abs(golden_answer(engine, tokenizer, item) - answer))
        golden.append(item)

    def bound(measured: float, margin: float) -> float:
        return max(FP32_ATOL, float(f"{margin * measured:.3g}"))

    return golden, GoldenBounds(
        atol=bound(float(np.max(differences)), _MARGIN),
        mean_atol=bound(float(np.mean(differences)), _MEAN_MARGIN),
    )


def _golden_texts(texts: Sequence[str]) -> list[tuple[str, str | None]]:
    """A spread of the texts, short to long, and one pair."""
    ordered = sorted(texts, key=len)
    step = max(1, len(ordered) // _GOLDEN_TEXTS)
    chosen: list[tuple[str, str | None]] = [(text, None) for text in ordered[::step]]
    return [*chosen[:_GOLDEN_TEXTS], (ordered[-1], ordered[len(ordered) // 2])]


def answers_of(output: Floats, inputs: ModelInputs, config: ModelConfig) -> Floats:
    """What a user would get: probabilities, or one pooled vector a text."""
    if output.ndim == 3:
        return mean_pool(output, inputs["attention_mask"])
    return apply_function(config.default_function, output)


def _agreement(ours: Floats, theirs: Floats, largest: float, output: str) -> Agreement:
    labels: npt.NDArray[np.bool_] | None = None
    if output == "logits":
        differences = np.abs(ours - theirs)
        if ours.shape[1] > 1:
            labels = ours.argmax(axis=1) == theirs.argmax(axis=1)
    else:
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        differences = 1.0 - (ours * theirs).sum(axis=1) / norms
    return Agreement(
        rows=len(ours),
        max_output_difference=largest,
        mean_difference=float(differences.mean()),
        max_difference=float(differences.max()),
        agreement=None if labels is None else float(labels.mean()),
    )
