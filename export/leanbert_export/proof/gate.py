"""The accuracy gate: what int8 costs on texts that calibration never saw, and what to do about it.

With labels the drop is that of accuracy, without that of agreement with PyTorch fp32 (for
embeddings, of the mean cosine), each in percentage points. Where it is larger than allowed, the
matmuls are ranked by how much each alone moves the output, and the worst go back to fp32, one,
then two, four and so on, until the gate holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from leanbert.batching.order import cut_batches
from leanbert.bundle import Bundle
from leanbert.engines import Batch, load_engine
from leanbert.numerics import Floats
from leanbert.tokenization import TextInput, Tokenizer
from leanbert.verification import task_output
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import GateError
from leanbert_export.proof.examples import Examples
from leanbert_export.proof.predictions import Answers
from leanbert_export.proof.reference import TorchReference

_RANKED_TEXTS, _RANKED_BATCH, _RANKED_COLUMNS = 64, 1024, 1024  # texts, padded tokens, values

Build = Callable[[frozenset[str]], Bundle]
"""Writes the bundle with the named matmuls left in fp32, and opens it."""


@dataclass(frozen=True)
class GateReport:
    """What the gate found; it goes onto the card."""

    metric: str
    """``accuracy``, ``agreement`` or ``cosine``."""
    rows: int
    """Texts held back from calibration."""
    fp32: float
    int8: float
    drop: float
    """In percentage points."""
    max_drop: float | None
    passed: bool
    fp32_matmuls: list[str] = field(default_factory=list)
    """Matmuls that went back to fp32, the most sensitive first."""
    bytes_before: int = 0
    bytes_after: int = 0
    """Of the weights, with every matmul in int8 and at the end."""
    slowdown: float = 1.0
    """Time on the held texts, at the end over with every matmul in int8."""

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        content = asdict(self)
        content["fp32_products"] = content.pop("fp32_matmuls")  # the key's name in bundles
        return content


class Gate:
    """Measures bundles against PyTorch's answers, which are computed once."""

    def __init__(self, bundle: Bundle, reference: TorchReference, held: Examples) -> None:
        self._answers, self._labels = Answers(reference.task, bundle), held.labels
        self._most = HEADS[reference.task].batch_tokens
        texts = self._answers.prepare(held.texts)
        self._encodings = Tokenizer.of(bundle).encode(texts, truncation=True)
        self._theirs = self._read(reference.run)

    def _read(self, run: Callable[[Batch], Floats]) -> list[Floats]:
        found: dict[int, Floats] = {}
        for indices in cut_batches(self._encodings.lengths, self._most):
            batch = self._encodings.take(indices)
            rows = self._answers.read(run(batch), batch)
            found.update(zip(indices, rows, strict=True))
        return [found[i] for i in range(len(found))]

    def measure(self, bundle: Bundle, max_drop: float | None) -> tuple[GateReport, float]:
        """The report on one bundle, and the seconds that its engine took."""
        engine = load_engine(bundle, engine="onnxruntime")
        spent = 0.0

        def run(batch: Batch) -> Floats:
            nonlocal spent
            start = time.perf_counter()
            outputs = engine.run(batch)
            spent += time.perf_counter() - start
            return task_output(outputs)

        ours = self._read(run)
        metric, fp32, int8 = self._score(ours)
        drop = 100 * (fp32 - int8)
        size = sum(path.stat().st_size for path in bundle.path.glob("model.onnx*"))
        report = GateReport(
            metric=metric,
            rows=len(ours),
            fp32=fp32,
            int8=int8,
            drop=drop,
            max_drop=max_drop,
            passed=max_drop is None or drop <= max_drop,
            bytes_before=size,
            bytes_after=size,
        )
        return report, spent

    def _score(self, ours: list[Floats]) -> tuple[str, float, float]:
        if self._labels is not None:
            labels = np.array(self._labels)
            mine, wanted = (np.concatenate(side).argmax(axis=1) for side in (ours, self._theirs))
            return "accuracy", float((wanted == labels).mean()), float((mine == labels).mean())
        same = self._answers.agreement(ours, self._theirs)
        if same is not None:
            return "agreement", 1.0, same
        near = 1.0 - float(self._answers.differences(ours, self._theirs).mean())
        return "cosine" if self._answers.task == "feature-extraction" else "agreement", 1.0, near


def pass_gate(
    gate: Gate,
    build: Build,
    *,
    max_drop: float | None,
    rank: Callable[[], Sequence[str]],
    force: bool,
    on_step: Callable[[str], None] = lambda _: None,
) -> GateReport:
    """Build the int8 bundle, and return matmuls to fp32 until the drop is small enough.

    Args:
        gate: measures.
        build: writes the bundle with some matmuls in fp32.
        max_drop: allowed drop in percentage points; ``None`` measures and lets everything pass.
        rank: the matmuls' names, most sensitive first; called only when needed.
        force: let a bundle stand that fails in the end.
        on_step: told what is done.

    Raises:
        GateError: no choice of matmuls passes.
    """
    report, seconds = gate.measure(build(frozenset()), max_drop)
    if report.passed:
        return report
    on_step("ranking the matmuls by sensitivity")
    names = list(rank())
    first, count = report, 1
    while not report.passed:
        kept = names[:count]
        on_step(f"returning {len(kept)} of {len(names)} matmuls to fp32")
        found, slower = gate.measure(build(frozenset(kept)), max_drop)
        report = GateReport(
            **{
                **asdict(found),
                "fp32_matmuls": kept,
                "bytes_before": first.bytes_before,
                "slowdown": slower / seconds,
            }
        )
        if len(kept) == len(names):
            break
        count *= 2
    if not report.passed and not force:
        raise GateError(
            f"the accuracy gate does not hold: {report.metric} drops by {report.drop:.2f} points "
            f"on {report.rows} texts with every matmul in fp32, allowed is {max_drop:g}; allow "
            "more with --max-drop, or write the bundle all the same with --force"
        )
    return report


def rank_matmuls(
    names: Sequence[str],
    build_only: Callable[[str | None], Bundle],
    texts: Sequence[TextInput],
    on_matmul: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Matmul names, the one that alone changes the output most first.

    ``build_only`` writes the bundle with one matmul in int8, or none. Measured on calibration
    texts, as their task sees them: the held ones must not choose what they judge.
    """
    chosen = list(texts)[:_RANKED_TEXTS]

    def outputs(bundle: Bundle) -> list[Floats]:
        engine = load_engine(bundle, engine="onnxruntime")
        encodings = Tokenizer.of(bundle).encode(chosen, truncation=True)
        found = (
            task_output(engine.run(encodings.take(indices)))
            for indices in cut_batches(encodings.lengths, _RANKED_BATCH)
        )
        # Of a vocabulary a spread is enough.
        return [every[..., :: max(1, every.shape[-1] // _RANKED_COLUMNS)].copy() for every in found]

    reference = outputs(build_only(None))
    moved: dict[str, float] = {}
    for name in names:
        on_matmul(name)
        pairs = zip(outputs(build_only(name)), reference, strict=True)
        moved[name] = float(np.mean([np.abs(a - b).mean() for a, b in pairs]))
    return sorted(names, key=lambda name: -moved[name])
