"""Make the golden answers, by which ``leanbert verify`` proves a bundle on another CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leanbert.bundle import Bundle, Golden
from leanbert.engines import load_engine
from leanbert.numerics import Floats
from leanbert.tokenization import TextInput, Tokenizer
from leanbert.verification import golden_answer, golden_values
from leanbert_export.proof.comparison import FP32_ATOL
from leanbert_export.proof.predictions import Predictions, first_text
from leanbert_export.proof.reference import TorchReference

_GOLDEN_TEXTS = 24
_GOLDEN_POSITIONS = 8  # tokens of a text that are kept, where the head answers every token
_GOLDEN_COLUMNS = 32  # words of a vocabulary: half of them the likeliest, half spread over all
# Measured on the embedded model. A change of 1e-7 in the weights of LayerNorm, as another CPU's
# order of summation makes it, moves one int8 logit by up to 0.34, since it moves the scale of a
# whole tensor; the mean over the golden texts stays within 8%. Weights cut to 5 bits raise the mean
# by 60%.
_MARGIN = 2.0
_MEAN_MARGIN = 1.4


@dataclass(frozen=True)
class GoldenBounds:
    """How far from PyTorch ``leanbert verify`` lets the golden answers be."""

    atol: float
    """The largest absolute difference of a value."""
    mean_atol: float
    """The mean absolute difference over all of them."""


def make_golden(
    bundle: Bundle, reference: TorchReference, texts: Sequence[TextInput]
) -> tuple[list[Golden], GoldenBounds]:
    """PyTorch's answers to texts alone, and the bounds that ``leanbert verify`` holds them to.

    The bounds are 2 times the largest difference and 1.4 times the mean difference of this bundle
    here, and never less than what fp32 needs.
    """
    engine, tokenizer = load_engine(bundle, engine="onnxruntime"), Tokenizer.of(bundle)
    texts = Predictions(reference.task, bundle).prepare(texts)
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
    """The positions and columns of one text's output that its golden answer keeps."""
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
    """Texts from short to long, and one pair."""
    ordered = sorted(texts, key=_characters)
    step = max(1, len(ordered) // _GOLDEN_TEXTS)
    spread = ordered[::step][:_GOLDEN_TEXTS]
    chosen = [(text, None) if isinstance(text, str) else text for text in spread]
    longest, middle = (ordered[i] for i in (-1, len(ordered) // 2))
    return [*chosen, (first_text(longest), first_text(middle))]


def _characters(text: TextInput) -> int:
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
