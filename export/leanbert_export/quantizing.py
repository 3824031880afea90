"""Quantize a bundle, and judge it: from the fused fp32 graph to an int8 bundle that passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.tokenization import Tokenizer
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.graph.saving import replace_graph
from leanbert_export.int8.calibration import record_inputs
from leanbert_export.int8.quantization import check_matmuls, quantize_graph
from leanbert_export.int8.weights import QuantizedMatmul, quantize_matmuls
from leanbert_export.proof.comparison import Agreement, compare
from leanbert_export.proof.examples import Examples
from leanbert_export.proof.gate import Gate, GateReport
from leanbert_export.proof.predictions import Predictions
from leanbert_export.proof.reference import TorchReference
from leanbert_export.proof.search import pass_gate, rank_matmuls
from leanbert_export.recipe import Int8Settings
from leanbert_export.source import GraphSource

__all__ = ["Judgement", "Quantized", "quantize_bundle"]


@dataclass(frozen=True)
class Judgement:
    """How strictly an int8 bundle is judged."""

    max_drop: float | None
    """Percentage points that may be lost; ``None`` measures only."""
    tie_margin: float
    """Decisions that PyTorch holds by at most this much probability may flip."""
    force: bool
    """Whether a bundle that fails is written all the same."""


@dataclass(frozen=True)
class Quantized:
    """What became of a bundle."""

    gate: GateReport
    agreement: Agreement
    """How near the held-back texts are to PyTorch's answers."""
    details: dict[str, Any]
    """What the manifest says of the recipe."""
    roles: Mapping[str, str]
    """The initializer of each tensor of the native engine's layout."""


@dataclass
class _Graphs:
    """Writes the graph of one checkpoint with any of its matmuls in int8."""

    source: GraphSource
    folder: Path
    quantized: dict[str, QuantizedMatmul]
    settings: Int8Settings
    roles: Mapping[str, str] = field(default_factory=dict)
    """Of the graph that was written last."""

    def write(self, names: frozenset[str] | set[str]) -> Bundle:
        """The bundle with the named matmuls in int8 and every other in fp32."""
        final = self.source.build()
        if names:
            quantize_graph(final, {name: self.quantized[name] for name in names}, self.settings)
        replace_graph(self.folder, final.model)
        self.roles = final.roles
        return Bundle.open(self.folder)

    def without(self, names: frozenset[str]) -> Bundle:
        """The bundle with the named matmuls in fp32 and every other in int8."""
        return self.write(set(self.quantized) - names)


def quantize_bundle(
    source: GraphSource,
    work: Path,
    bundle: Bundle,
    reference: TorchReference,
    examples: Examples,
    settings: Int8Settings,
    judgement: Judgement,
    steps: Sequence[str],
    on_step: Callable[[str], None],
) -> Quantized:
    """Quantize the matmuls of ``bundle`` in place, as many as its gate lets pass.

    Args:
        source: makes the fp32 graph.
        work: a folder for scratch files.
        bundle: of the recipe fp32.
        reference: PyTorch.
        examples: texts to calibrate and to judge on, and their labels if they have any.
        settings: of the recipe.
        judgement: of the gate.
        steps: what ``on_step`` is called with as recording, quantizing and judging begin.
        on_step: see :func:`leanbert_export.exporting.export`.

    Raises:
        GateError: the bundle does not pass.
        ExportError: the graph does not have the matmuls of an encoder.
    """
    calibrating, held = examples.split(HEADS[reference.task].most_held)
    texts = Predictions(reference.task, bundle).prepare(calibrating.texts)
    on_step(steps[0])
    final = source.build()
    check_matmuls(len(final.matmuls), final.model.graph)
    tokenizer = Tokenizer.of(bundle)
    samples = record_inputs(final, tokenizer, texts, work) if settings.per_token else {}
    on_step(steps[1])
    quantized = quantize_matmuls(
        final.matmuls, samples, settings, lambda name: on_step(f"{steps[1]} {name}")
    )
    del samples, final
    graphs = _Graphs(source, bundle.path, quantized, settings)
    on_step(steps[2])
    gate = Gate(bundle, reference, held, judgement.tie_margin)

    def rank() -> list[str]:
        return rank_matmuls(
            list(quantized),
            lambda name: graphs.write(set() if name is None else {name}),
            texts,
            lambda name: on_step(f"ranking the matmuls: {name}"),
        )

    report = pass_gate(
        gate,
        graphs.without,
        max_drop=judgement.max_drop,
        rank=rank,
        force=judgement.force,
        on_step=on_step,
    )
    agreement = compare(bundle, reference, held.texts)
    plain = set(report.fp32_matmuls)
    details = {
        "calibration_rows": len(calibrating.texts),
        "products": {  # the key's name in bundles
            name: "fp32" if name in plain else matmul.summary() if settings.per_token else "int8"
            for name, matmul in quantized.items()
        },
        "gate": report.as_dict(),
    }
    return Quantized(report, agreement, details, graphs.roles)
