"""Prove a bundle on this CPU: its bytes, and its answers to the golden texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leanbert.bundle import Bundle, Golden
from leanbert.cpu import cpu_name
from leanbert.engines import Engine, ModelOutputs, load_engine
from leanbert.errors import BundleError, VerificationError
from leanbert.numerics import Floats, mean_pool
from leanbert.tokenization import Tokenizer

__all__ = ["Verification", "golden_answer", "golden_values", "task_output", "verify"]


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found; every difference was within ``atol``."""

    path: Path
    files: int
    golden_texts: int
    max_difference: float
    """Largest absolute difference from PyTorch's fp32 answers on the golden texts."""
    mean_difference: float
    """Mean of the same."""
    atol: float
    """The bound on ``max_difference`` that the export measured for this bundle."""
    mean_atol: float
    """The bound on ``mean_difference``."""
    engine: str
    products: str
    """How the engine computed the matrix multiplications on this CPU."""
    cpu: str
    why_not_native: str | None = None
    """Why ``engine="auto"`` passed the native engine over, in a clause, where it did."""


def verify(path: str | Path, threads: int | None = None, engine: str = "auto") -> Verification:
    """Check every byte of a bundle and recompute its golden answers on this CPU.

    Args:
        path: the bundle's directory.
        threads: cores to compute on; ``None`` for all that this process may use.
        engine: the engine to prove, by default the one that would run the bundle here.

    Raises:
        BundleError: the bundle is missing, changed, or has no manifest to be checked against.
        VerificationError: an answer differs from PyTorch's fp32 by more than the manifest allows,
            as it does where a CPU's int8 instructions saturate.
        EngineError: the engine asked for cannot run the bundle here.
    """
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    if manifest is None:
        raise BundleError(
            f"{bundle.path}: has no leanbert.json, so there is nothing to verify it against; "
            "leanbert export makes verified bundles"
        )
    if not manifest.golden:
        raise BundleError(
            f"{bundle.path}: its manifest has no golden texts, so its answers cannot be verified; "
            "export it again"
        )
    computing = load_engine(bundle, threads, engine)
    tokenizer = Tokenizer.of(bundle)
    largest = 0.0
    means: list[float] = []
    for i, golden in enumerate(manifest.golden):
        answer = golden_answer(computing, tokenizer, golden)
        reference = np.asarray(golden.reference, dtype=np.float32)
        if answer.shape != reference.shape:
            raise VerificationError(
                f"{bundle.path}: golden text {i}: {answer.size} values instead of "
                f"{reference.size}; export the bundle again"
            )
        differences = np.abs(answer - reference)
        difference = float(differences.max())
        if not difference <= manifest.atol:  # NaN fails too
            raise VerificationError(
                f"{bundle.path}: golden text {i} ({golden.text[:40]!r}): {difference:.4g} away "
                f"from PyTorch, allowed is {manifest.atol:.4g}; this CPU ({cpu_name()}) computes "
                "the graph wrongly: use an fp32 bundle here (--recipe fp32)"
            )
        largest = max(largest, difference)
        means.append(float(differences.mean()))
    mean = float(np.mean(means))
    if not mean <= manifest.mean_atol:
        raise VerificationError(
            f"{bundle.path}: the golden texts are {mean:.4g} away from PyTorch on average, "
            f"allowed is {manifest.mean_atol:.4g}; this CPU ({cpu_name()}) computes the graph "
            "wrongly: use an fp32 bundle here (--recipe fp32)"
        )
    return Verification(
        path=bundle.path,
        files=len(manifest.files),
        golden_texts=len(manifest.golden),
        max_difference=largest,
        mean_difference=mean,
        atol=manifest.atol,
        mean_atol=manifest.mean_atol,
        engine=computing.name,
        products=computing.report.matmuls,
        cpu=cpu_name(),
        why_not_native=computing.report.why_not_native,
    )


def golden_answer(engine: Engine, tokenizer: Tokenizer, golden: Golden) -> Floats:
    """What a graph answers to a golden text alone, the part that its reference keeps.

    *Shape:* as :func:`golden_values`.
    """
    text = golden.text if golden.text_pair is None else (golden.text, golden.text_pair)
    output = task_output(engine.run(tokenizer.encode([text], truncation=True)))
    return golden_values(output, golden.positions, golden.columns)


def task_output(outputs: ModelOutputs) -> Floats:
    """The one array that a task's answers are decoded from.

    *Shape:* ``logits`` or ``last_hidden_state`` as they are; ``start_logits`` and ``end_logits``,
    each ``(tokens,)``, as the two columns of ``(tokens, 2)``.
    """
    if "start_logits" in outputs:
        both: Floats = np.stack([outputs["start_logits"], outputs["end_logits"]], axis=-1)
        return both
    return outputs["logits"] if "logits" in outputs else outputs["last_hidden_state"]


def golden_values(
    output: Floats, positions: Sequence[int] | None = None, columns: Sequence[int] | None = None
) -> Floats:
    """The part of one text's output that a golden reference keeps.

    Positions and columns that are not there are left out, so that the size tells of them.

    *Shape:* ``(1, labels)`` -> ``(labels,)``; ``(tokens, width)`` -> ``(width,)``, the mean, or
    with positions ``(positions * width,)``; columns narrow ``labels`` and ``width``.
    """
    if positions is not None:
        rows = output[[i for i in positions if i < len(output)]]
    else:
        rows = output if len(output) == 1 else mean_pool(output)[None]
    if columns is not None:
        rows = rows[:, [i for i in columns if i < rows.shape[1]]]
    values: Floats = rows.reshape(-1)
    return values
