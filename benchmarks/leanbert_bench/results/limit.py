"""The machine's limit for a shape, and each back end's share of it.

A forward pass has to do the model's multiply-adds and to read its weights once. It can end no
sooner than the slower of the two would on a machine that does each at its measured peak:

    limit = max(linear / peak + attention / fp32 peak, weight bytes / bandwidth)

with the int8 peak for an int8 back end's linear layers and the fp32 peak for all else. What is
left out (softmax, GELU, LayerNorm, embeddings) makes the limit optimistic; attention in bf16 and
weights that stay in the cache make a share above 100% possible.
"""

from __future__ import annotations

from leanbert_bench.results.access import Entry, Results, dig
from leanbert_bench.results.per_turn import forward_ms
from leanbert_bench.statistics import median


def peak(results: Results, name: str) -> float | None:
    """The best sample of ``int8_gops``, ``fp32_gflops`` or ``bandwidth_gbs``, if measured.

    The best and not the median: whatever disturbs a peak only lowers it.
    """
    samples = dig(results, "roof", name)
    return max(map(float, samples)) if samples else None


def limit_ms(results: Results, shape: str, precision: str) -> float | None:
    """The least time of a forward pass in ms; ``None`` where the roof was not measured.

    Args:
        results: the results.
        shape: for example ``"1x128"``.
        precision: ``"int8"`` or ``"fp32"``; no other has a limit here.
    """
    work = dig(results, "operations", shape)
    fp32, bandwidth = peak(results, "fp32_gflops"), peak(results, "bandwidth_gbs")
    linear = {"int8": peak(results, "int8_gops"), "fp32": fp32}.get(precision)
    if not isinstance(work, dict) or not fp32 or not bandwidth or not linear:
        return None
    weight_bytes = work.get(f"weight_bytes_{precision}")
    if work.get("linear") is None or weight_bytes is None:
        return None
    # 1e9 a second is 1e6 a millisecond.
    computing = work["linear"] / (linear * 1e6) + (work.get("attention") or 0) / (fp32 * 1e6)
    reading = weight_bytes / (bandwidth * 1e6)
    return float(max(computing, reading))


def share(results: Results, backend: Entry, shape: str) -> float | None:
    """The limit over the measured median: 1 is the machine's limit, 0.5 takes twice as long."""
    turns = forward_ms(backend, shape)
    limit = limit_ms(results, shape, str(backend.get("precision")))
    return limit / median(turns) if turns and limit is not None else None
