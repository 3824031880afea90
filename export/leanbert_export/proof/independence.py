"""Prove that the answer to a text does not depend on the texts beside it, nor on its length.

Some architectures read the padding that a batch needs: ConvBERT's convolutions reach into it, and
Nystromformer averages over it. PyTorch does the same in the same batch, so that a comparison batch
by batch cannot see it. A model that answers nearly the same to every text (one without training,
say) hides it behind float32's rounding, so PyTorch itself is compared in float64 first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leanbert.bundle import Bundle
from leanbert.engines import load_engine
from leanbert.engines.outputs import task_output
from leanbert.errors import EngineError
from leanbert.numerics import Floats
from leanbert.tokenization import Encodings, TextInput, Tokenizer
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import ProofError
from leanbert_export.proof.comparison import FP32_ATOL
from leanbert_export.proof.predictions import Predictions, first_text
from leanbert_export.proof.reference import TorchReference

__all__ = ["check_independence"]

_TEXTS = 6  # short and long ones that share a batch
# Of the largest value. Rounding in float64 is some 1e-15; what padding changed was at least 4e-6,
# also in models without training.
_EXACT = 1e-9
_DEPENDS = (
    "lengths: the output for {} is {} away from the one in a batch with longer texts, so answers "
    "would depend on the texts beside them; a model of this architecture cannot be exported"
)


def check_independence(
    bundle: Bundle, reference: TorchReference, texts: Sequence[TextInput]
) -> float:
    """Compare the fp32 graph's output for texts alone and in a padded batch, and with PyTorch's.

    One text is as long as the model takes, up to 512 tokens (64 where the output is a vocabulary).

    Args:
        bundle: of the recipe fp32.
        reference: PyTorch.
        texts: to be run.

    Returns:
        The largest absolute difference.

    Raises:
        ProofError: an output differs by more than the order of summation explains.
    """
    engine, tokenizer = load_engine(bundle, engine="onnxruntime"), Tokenizer.of(bundle)
    predictions = Predictions(reference.task, bundle)
    ordered = sorted(predictions.prepare(texts), key=lambda text: len("".join(text)))
    spread = [ordered[int(i)] for i in np.linspace(0, len(ordered) - 1, _TEXTS)]
    room = HEADS[reference.task].batch_tokens
    words = " ".join(first_text(text) for text in ordered).split() or ["x"]
    long = " ".join(words[i % len(words)] for i in range(room))
    whole = predictions.prepare([(long, long) if isinstance(ordered[0], tuple) else long])
    largest = 0.0
    try:
        for group in (spread, [ordered[0], *whole]):
            longest = min(room // len(group), bundle.max_length)
            encodings = tokenizer.encode(group, truncation=True, max_length=longest)
            if group is spread:
                _check_exactly(reference, encodings, repr(first_text(group[0])[:30]))
            together = task_output(engine.run(encodings))
            for i, text in enumerate(group):
                alone = encodings.take([i])
                rows = encodings.place(i) if reference.per_token else slice(i, i + 1)
                found = task_output(engine.run(alone))
                name = repr(first_text(text)[:30])
                largest = max(
                    largest,
                    _check(
                        found,
                        reference.run(alone),
                        f"lengths: the output for {name} is {{}} away from PyTorch's: the graph "
                        "computes something else for texts of this length",
                    ),
                    _check(
                        found,
                        together[rows],
                        _DEPENDS.format(name, "{}"),
                    ),
                )
    except EngineError as error:
        raise ProofError(
            f"lengths: the graph does not take texts of any length: {error}"
        ) from error
    return largest


def _check_exactly(reference: TorchReference, encodings: Encodings, name: str) -> None:
    """Compare PyTorch's first, shortest text alone with itself in the padded batch, in float64."""
    together = reference.run_exact(encodings)
    for one, every in zip(reference.run_exact(encodings.take([0])), together, strict=True):
        difference = float(np.abs(one - every[: len(one)]).max())

        if not difference <= _EXACT * float(np.abs(one).max()):
            raise ProofError(_DEPENDS.format(name, f"{difference:.3g}"))


def _check(found: Floats, other: Floats, message: str) -> float:
    if found.shape != other.shape:
        raise ProofError(f"lengths: an output has the shape {found.shape} and not {other.shape}")
    difference = float(np.abs(found - other).max())
    if not difference <= FP32_ATOL * max(1.0, float(np.abs(other).max())):
        raise ProofError(message.format(f"{difference:.3g}"))
    return difference
