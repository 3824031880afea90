"""The accuracy gate: what int8 costs on texts that calibration never saw.

With labels the drop is one of accuracy; without, one of agreement with PyTorch fp32. Both are
counted in decisions (labels, spans or words), so that a limit of 1 point allows exactly 1 decision
in 100 to be lost. For embeddings and single scores, which decide nothing, the drop is 100 times
the mean of 1 - cosine, or of the difference of the scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from leanbert.batching.order import cut_batches
from leanbert.bundle import Bundle
from leanbert.engines import Batch, load_engine
from leanbert.engines.outputs import task_output
from leanbert.numerics import Floats
from leanbert.tokenization import Tokenizer
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.proof.examples import Examples
from leanbert_export.proof.predictions import Flips, Predictions
from leanbert_export.proof.reference import TorchReference

FIRM = 0.1
"""A flip is firm if PyTorch held its decision by more than this much probability."""


@dataclass(frozen=True)
class GateReport:
    """What the gate found; it goes into the manifest and onto the card."""

    metric: str
    """``accuracy``, ``agreement`` or ``cosine``."""
    rows: int
    """Texts held back from calibration."""
    fp32: float
    int8: float
    drop: float
    """In percentage points."""
    max_drop: float | None
    """The allowed drop in percentage points; ``None`` if the drop was only measured."""
    passed: bool
    decisions: int = 0
    """Labels, spans or words that were compared; 0 for embeddings and single scores."""
    lost: int = 0
    """Decisions by which int8 is worse than fp32."""
    flips: int = 0
    """Decisions of int8 that are not those of PyTorch fp32, right or wrong."""
    firm_flips: int = 0
    """Those of them that PyTorch held by more than :data:`FIRM`."""
    tie_margin: float = 0.0
    """Flips that PyTorch held by at most this much probability do not count as lost."""
    fp32_matmuls: list[str] = field(default_factory=list)
    """Matmuls that were returned to fp32, the most sensitive first."""
    bytes_before: int = 0
    """Bytes of the graph and its weights with every matmul in int8."""
    bytes_after: int = 0
    """The same in the end."""
    slowdown: float = 1.0
    """Time for the held-back texts in the end, divided by the time with every matmul in int8."""

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        content = asdict(self)
        content["fp32_products"] = content.pop("fp32_matmuls")  # the key's name in bundles
        return content

    @property
    def line(self) -> str:
        """The card's sentence on the gate."""
        counted = (
            f"{self.metric} {self.int8:.2%} in int8, {self.fp32:.2%} in fp32 on {self.rows} texts "
            "held back"
        )
        if self.decisions:
            counted += (
                f"; {self.flips} of {self.decisions} decisions differ from PyTorch's, "
                f"{self.firm_flips} that it held by more than {FIRM:g}"
            )
        if self.tie_margin:
            counted += f"; ties within {self.tie_margin:g} are not counted as lost"
        if self.max_drop is None:
            return f"not set; {counted}"
        verdict = "passed" if self.passed else "FAILED, written with --force"
        line = f"{verdict}: at most {self.max_drop:g} points may be lost; {counted}"
        if self.fp32_matmuls:
            line += (
                f"; {len(self.fp32_matmuls)} matmuls in fp32 for it, which cost "
                f"{(self.bytes_after - self.bytes_before) / 1e6:.1f} MB and "
                f"{self.slowdown - 1:+.0%} time"
            )
        return line


@dataclass(frozen=True)
class _Score:
    metric: str
    fp32: float
    int8: float
    decisions: int = 0
    lost: int = 0


class Gate:
    """Measures bundles against PyTorch's predictions, which are computed once.

    Args:
        bundle: any bundle of the checkpoint.
        reference: PyTorch.
        held: the texts to judge on, and their labels if they have any.
        tie_margin: see :attr:`GateReport.tie_margin`.
    """

    def __init__(
        self,
        bundle: Bundle,
        reference: TorchReference,
        held: Examples,
        tie_margin: float = 0.0,
    ) -> None:
        self._predictions, self._labels = Predictions(reference.task, bundle), held.labels
        self._tie_margin = tie_margin
        self._most = HEADS[reference.task].batch_tokens
        texts = self._predictions.prepare(held.texts)
        self._encodings = Tokenizer.of(bundle).encode(texts, truncation=True)
        self._theirs = self._read(reference.run)

    def _read(self, run: Callable[[Batch], Floats]) -> list[Floats]:
        found: dict[int, Floats] = {}
        for indices in cut_batches(self._encodings.lengths, self._most):
            batch = self._encodings.take(indices)
            rows = self._predictions.read(run(batch), batch)
            found.update(zip(indices, rows, strict=True))
        return [found[i] for i in range(len(found))]

    def measure(self, bundle: Bundle, max_drop: float | None) -> tuple[GateReport, float]:
        """Judge one bundle.

        Args:
            bundle: with any of its matmuls in int8.
            max_drop: the allowed drop in percentage points; ``None`` lets every bundle pass.

        Returns:
            The report, and the seconds that the engine took.
        """
        engine = load_engine(bundle, engine="onnxruntime")
        spent = 0.0

        def run(batch: Batch) -> Floats:
            nonlocal spent
            start = time.perf_counter()
            outputs = engine.run(batch)
            spent += time.perf_counter() - start
            return task_output(outputs)

        ours = self._read(run)
        flips = self._predictions.flips(ours, self._theirs)
        score = self._score(ours, flips)
        size = sum(path.stat().st_size for path in bundle.path.glob("model.onnx*"))
        drop = 100 * (score.fp32 - score.int8)
        if score.decisions:
            drop = 100 * score.lost / score.decisions
        report = GateReport(
            metric=score.metric,
            rows=len(ours),
            fp32=score.fp32,
            int8=score.int8,
            drop=drop,
            max_drop=max_drop,
            passed=max_drop is None or _allows(max_drop, score, drop),
            decisions=score.decisions,
            lost=score.lost,
            flips=0 if flips is None else len(flips.where),
            firm_flips=0 if flips is None else flips.beyond(FIRM),
            tie_margin=self._tie_margin,
            bytes_before=size,
            bytes_after=size,
        )
        return report, spent

    def _score(self, ours: list[Floats], flips: Flips | None) -> _Score:
        if flips is None:
            near = 1.0 - float(self._predictions.differences(ours, self._theirs).mean())
            embeddings = self._predictions.task == "feature-extraction"
            return _Score("cosine" if embeddings else "agreement", 1.0, near)
        if self._labels is not None:
            return self._accuracy(self._labels, ours, flips)
        lost = flips.beyond(self._tie_margin)
        return _Score("agreement", 1.0, 1.0 - lost / flips.decisions, flips.decisions, lost)

    def _accuracy(self, labels: Any, ours: list[Floats], flips: Flips) -> _Score:
        truth = np.array(labels)
        mine, wanted = (np.concatenate(side).argmax(axis=1) for side in (ours, self._theirs))
        for place, lead in zip(flips.where, flips.leads, strict=True):
            if lead <= self._tie_margin:
                mine[place] = wanted[place]
        right, wanted_right = int((mine == truth).sum()), int((wanted == truth).sum())
        rows = len(truth)
        return _Score("accuracy", wanted_right / rows, right / rows, rows, wanted_right - right)


def _allows(max_drop: float, score: _Score, drop: float) -> bool:
    """Whether so much may be lost; decisions are counted, not rounded."""
    if not score.decisions:
        return drop <= max_drop
    return 100 * score.lost <= Fraction(str(max_drop)) * score.decisions
