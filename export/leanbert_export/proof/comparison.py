"""Compare a graph with PyTorch on real texts: names, then shapes, then values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leanbert.batching.order import cut_batches
from leanbert.bundle import Bundle
from leanbert.engines import load_engine
from leanbert.engines.outputs import task_output
from leanbert.numerics import Floats
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import ProofError
from leanbert_export.proof.predictions import Predictions
from leanbert_export.proof.reference import TorchReference

FP32_ATOL = 1e-4
"""The largest difference between outputs that the order of summation in fp32 explains."""

INT8_MEAN_DIFFERENCE = 0.05
"""The largest mean difference of probability (or 1 - cosine) of a bundle that is worth having."""


@dataclass(frozen=True)
class Agreement:
    """How near a bundle's predictions are to those of PyTorch fp32."""

    rows: int
    """Texts that were compared."""
    max_output_difference: float
    """Largest absolute difference of a logit or a hidden value."""
    mean_difference: float
    """Mean of :meth:`~leanbert_export.proof.predictions.Predictions.differences`."""
    max_difference: float
    """The largest of the same."""
    agreement: float | None
    """Share of the same labels, spans or words; ``None`` where there are none."""


def compare(bundle: Bundle, reference: TorchReference, texts: Sequence[TextInput]) -> Agreement:
    """Run ``texts`` through the bundle and through PyTorch, and measure how far they are apart.

    Raises:
        ProofError: the outputs' names or shapes differ.
    """
    engine, head = load_engine(bundle, engine="onnxruntime"), HEADS[reference.task]
    tokenizer, predictions = Tokenizer.of(bundle), Predictions(reference.task, bundle)
    if not set(head.outputs) <= set(engine.output_names):
        raise ProofError(
            f"names: the graph gives {', '.join(engine.output_names)}, PyTorch "
            f"{', '.join(head.outputs)}"
        )
    encodings = tokenizer.encode(predictions.prepare(texts), truncation=True)
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
        ours += predictions.read(got, batch)
        theirs += predictions.read(wanted, batch)
    differences = predictions.differences(ours, theirs)
    return Agreement(
        rows=len(ours),
        max_output_difference=largest,
        mean_difference=float(differences.mean()),
        max_difference=float(differences.max()),
        agreement=predictions.agreement(ours, theirs),
    )


def check_values(found: Agreement, *, quantized: bool) -> None:
    """Check that the values are as near to PyTorch's as the recipe promises.

    Raises:
        ProofError: they are further apart.
    """
    if not quantized and not found.max_output_difference <= FP32_ATOL:
        raise ProofError(
            f"values: an fp32 output is {found.max_output_difference:.3g} away from PyTorch's, "
            f"allowed is {FP32_ATOL:g}: the graph computes something else"
        )
    if quantized and not found.mean_difference <= INT8_MEAN_DIFFERENCE:
        raise ProofError(
            f"values: int8 is {found.mean_difference:.3g} away from PyTorch on average, allowed "
            f"is {INT8_MEAN_DIFFERENCE:g}: int8 costs this model too much; use --recipe fp32"
        )
