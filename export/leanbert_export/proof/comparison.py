"""Compare a graph with PyTorch on real texts: names, then shapes, then values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leanbert.batching.order import cut_batches
from leanbert.bundle import Bundle, Golden
from leanbert.engines import load_engine
from leanbert.numerics import Floats
from leanbert.tokenization import TextInput, Tokenizer
from leanbert.verification import golden_answer, golden_values, task_output
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import ProofError
from leanbert_export.proof.predictions import Answers, first_text
from leanbert_export.proof.reference import TorchReference

FP32_ATOL = 1e-4
"""Largest difference between outputs that fp32 summation order explains."""

INT8_MEAN_DIFFERENCE = 0.05
"""Largest mean |difference of probability| (or 1 - cosine) of a bundle that is worth having."""

_GOLDEN_TEXTS = 24
_GOLDEN_POSITIONS = 8  # of a text, for heads that answer every token
_GOLDEN_COLUMNS = 32  # of a vocabulary: half the likeliest, half spread over all
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
    """Mean |difference of probability|; for embeddings mean of 1 - cosine: ``predictions.py``."""
    max_difference: float
    """The largest of the same."""
    agreement: float | None
    """Share of the same labels, spans or words; ``None`` where there are none."""


@dataclass(frozen=True)
class GoldenBounds:
    """How far from PyTorch ``leanbert verify`` lets the golden answers be."""

    atol: float
    """The largest absolute difference of a value."""
    mean_atol: float
    """The mean absolute difference over all of them."""


def compare(bundle: Bundle, reference: TorchReference, texts: Sequence[TextInput]) -> Agreement:
    """Run ``texts`` through both and measure the distance.

    Raises:
        ProofError: names or shapes differ.
    """
    engine, head = load_engine(bundle, engine="onnxruntime"), HEADS[reference.task]
    tokenizer, answers = Tokenizer.of(bundle), Answers(reference.task, bundle)
    if not set(head.outputs) <= set(engine.output_names):
        raise ProofError(
            f"names: the graph gives {', '.join(engine.output_names)}, PyTorch "
            f"{', '.join(head.outputs)}"
        )
    encodings = tokenizer.encode(answers.prepare(texts), truncation=True)
    largest = 0.0
    ours: list[Floats] = []
    theirs: list[Floats] = []
    for indices in cut_batches(encodings.lengths, head.batch_tokens):
        batch = encodings.take(indices)
        wanted, got = reference.run(batch), task_output(engine.run(batch))
        if wanted.shape != got.shape:
            names = " and ".join(head.outputs)
            raise ProofError(f"shapes: {names} is {got.shape}, in PyTorch {wanted.shape}")
        worst = np.abs(wanted - got).max()
        largest = float(np.maximum(largest, worst))  # NaN stays, which max() would drop
        ours += answers.read(got, batch)
        theirs += answers.read(wanted, batch)
    differences = answers.differences(ours, theirs)
    return Agreement(
        rows=len(ours),
        max_output_difference=largest,
        mean_difference=float(differences.mean()),
        max_difference=float(differences.max()),
        agreement=answers.agreement(ours, theirs),
    )


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
    bundle: Bundle, reference: TorchReference, texts: Sequence[TextInput]
) -> tuple[list[Golden], GoldenBounds]:
    """PyTorch's answers to texts alone, and the bounds that ``leanbert verify`` holds them to.

    The bounds are 2 times (largest) and 1.4 times (mean) what is measured here, and at least
    fp32's.
    """
    engine, tokenizer = load_engine(bundle, engine="onnxruntime"), Tokenizer.of(bundle)
    texts = Answers(reference.task, bundle).prepare(texts)
    golden: list[Golden] = []
    differences: list[Floats] = []
    for text, pair in _golden_texts(texts):
        encoded = tokenizer.encode([text if pair is None else (text, pair)], truncation=True)
        output = reference.run(encoded)
        kept = _kept(reference.task, output)
        answer = golden_values(output, *kept)
        item = Golden(text, pair, [float(f"{value:.7g}") for value in answer.tolist()], *kept)
        differences.append(np.abs(golden_answer(engine, tokenizer, item) - answer))
        golden.append(item)

    def bound(measured: float, margin: float) -> float:
        return max(FP32_ATOL, float(f"{margin * measured:.3g}"))

    return golden, GoldenBounds(
        atol=bound(max(float(found.max()) for found in differences), _MARGIN),
        mean_atol=bound(float(np.mean([found.mean() for found in differences])), _MEAN_MARGIN),
    )


def _kept(task: str, output: Floats) -> tuple[list[int] | None, list[int] | None]:
    """Positions and columns of one text's output that its golden reference keeps."""
    if task in ("text-classification", "feature-extraction"):
        return None, None
    length, width = output.shape
    positions = sorted({int(i) for i in np.linspace(0, length - 1, _GOLDEN_POSITIONS)})
    if width <= 4 * _GOLDEN_COLUMNS:
        return positions, None
    middle = positions[len(positions) // 2 :][:1]
    likeliest = np.argsort(-output[middle[0]], kind="stable")[: _GOLDEN_COLUMNS // 2]
    spread = np.linspace(0, width - 1, _GOLDEN_COLUMNS // 2)
    return middle, sorted({int(i) for i in (*likeliest, *spread)})


def _golden_texts(texts: Sequence[TextInput]) -> list[tuple[str, str | None]]:
    """A spread of the texts, short to long, and one pair."""
    ordered = sorted(texts, key=_characters)
    step = max(1, len(ordered) // _GOLDEN_TEXTS)
    spread = ordered[::step][:_GOLDEN_TEXTS]
    chosen = [(text, None) if isinstance(text, str) else text for text in spread]
    longest, middle = (ordered[i] for i in (-1, len(ordered) // 2))
    return [*chosen, (first_text(longest), first_text(middle))]


def _characters(text: TextInput) -> int:
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
