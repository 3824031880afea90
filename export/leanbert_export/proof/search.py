"""Return matmuls to fp32 until a bundle passes its gate: as few as possible, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from leanbert.batching.order import cut_batches
from leanbert.bundle import Bundle
from leanbert.engines import load_engine
from leanbert.engines.outputs import task_output
from leanbert.numerics import Floats
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.errors import GateError
from leanbert_export.proof.gate import Gate, GateReport

_RANKED_TEXTS = 64  # texts that a ranking runs
_RANKED_BATCH = 1024  # padded tokens at once
_RANKED_COLUMNS = 1024  # values of each row that are compared, spread over a vocabulary

Build = Callable[[frozenset[str]], Bundle]
"""Writes the bundle with the named matmuls in fp32 and every other in int8, and opens it."""


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

    The matmuls are ranked by sensitivity, and bisection finds how many of the most sensitive must
    be in fp32. At least one stays in int8: a bundle without any would be one of the recipe fp32.

    Args:
        gate: measures bundles.
        build: writes a bundle; the last one that it wrote stays.
        max_drop: the allowed drop in percentage points; ``None`` measures once and lets it pass.
        rank: gives the matmuls' names, the most sensitive first. It is slow, and called only if
            the first bundle fails.
        force: whether a bundle may stay that fails: then it is the one with all matmuls in int8.
        on_step: is called with what is done.

    Returns:
        The report on the bundle that stays.

    Raises:
        GateError: the bundle fails as long as any matmul is in int8, and ``force`` is false.
    """
    first, seconds = gate.measure(build(frozenset()), max_drop)
    if first.passed:
        return first
    on_step("ranking the matmuls by sensitivity")
    names = list(rank())
    best: GateReport | None = None
    failing, passing, built = 0, len(names), 0
    while passing - failing > 1:
        built = (failing + passing) // 2
        on_step(f"returning {built} of {len(names)} matmuls to fp32")
        found, slower = gate.measure(build(frozenset(names[:built])), max_drop)
        if found.passed:
            passing = built
            best = replace(
                found,
                fp32_matmuls=names[:built],
                bytes_before=first.bytes_before,
                slowdown=slower / seconds,
            )
        else:
            failing = built
    if best is None:
        if not force:
            raise GateError(_message(first, len(names)))
        build(frozenset())
        return first
    if built != passing:  # the last one tried has failed
        build(frozenset(best.fp32_matmuls))
    return best


def _message(report: GateReport, matmuls: int) -> str:
    lost = f"{report.drop:.2f} points"
    if report.decisions:
        lost += f" ({report.lost} of {report.decisions} decisions)"
    return (
        f"the accuracy gate does not hold: {report.metric} drops by {lost} on {report.rows} texts "
        f"held back, allowed is {report.max_drop:g}, and it does not hold before all {matmuls} "
        "matmuls are in fp32, when nothing is int8; allow more with --max-drop, do not count near "
        "ties with --tie-margin, write the bundle all the same with --force, or use --recipe fp32"
    )


def rank_matmuls(
    names: Sequence[str],
    build_only: Callable[[str | None], Bundle],
    texts: Sequence[TextInput],
    on_matmul: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Sort matmuls by how much each alone changes the output in int8, the most first.

    Args:
        names: of the matmuls.
        build_only: writes the bundle with one matmul in int8, or with none.
        texts: calibration texts, prepared for the task. The held-back texts must not take part in
            a choice that they judge.
        on_matmul: is called with each name as its turn comes.
    """
    chosen = list(texts)[:_RANKED_TEXTS]

    def outputs(bundle: Bundle) -> list[Floats]:
        engine = load_engine(bundle, engine="onnxruntime")
        encodings = Tokenizer.of(bundle).encode(chosen, truncation=True)
        found = (
            task_output(engine.run(encodings.take(batch)))
            for batch in cut_batches(encodings.lengths, _RANKED_BATCH)
        )
        return [every[..., :: max(1, every.shape[-1] // _RANKED_COLUMNS)].copy() for every in found]

    reference = outputs(build_only(None))
    moved: dict[str, float] = {}
    for name in names:
        on_matmul(name)
        pairs = zip(outputs(build_only(name)), reference, strict=True)
        moved[name] = float(np.mean([np.abs(a - b).mean() for a, b in pairs]))
    return sorted(names, key=lambda name: -moved[name])
