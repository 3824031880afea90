"""The machine's limit for a shape, and each back end's share of it.

A forward pass has to do the model's multiply-adds and to read its weights once. The slower of the
two, each at the machine's measured peak, is the least time that it can take:

    limit = max(linear / peak + attention / fp32 peak, weight bytes / bandwidth)

with the int8 peak for an int8 back end's linear layers and the fp32 peak for everything else.
Softmax, GELU, LayerNorm and embeddings are left out, so the limit is optimistic. Attention in bf16
and weights that stay in the cache make a share above 100% possible.
"""

from __future__ import annotations

from leanbert_bench.results.access import Entry, Results, dig
from leanbert_bench.results.per_turn import forward_ms
from leanbert_bench.statistics import median


def peak(results: Results, name: str) -> float | None:
    """Return the best sample of ``int8_gops``, ``fp32_gflops`` or ``bandwidth_gbs``, if any.

    It is the best and not the median, because whatever disturbs a peak only lowers it.
    """
    samples = dig(results, "roof", name)
    return max(map(float, samples)) if samples else None


def limit_ms(results: Results, shape: str, precision: str) -> float | None:
    """Return the least time of a forward pass in ms, or ``None`` if no peak was measured.

    Args:
        results: the results.
        shape: batch size and length, for example ``"1x128"``.
        precision: ``"int8"`` or ``"fp32"``; others have no limit here.
    """
    work = dig(results, "operations", shape)
    fp32, bandwidth = peak(results, "fp32_gflops"), peak(results, "bandwidth_gbs")
    linear = {"int8": peak(results, "int8_gops"), "fp32": fp32}.get(precision)
    if not isinstance(work, dict) or not fp32 or not bandwidth or not linear:
        return None
    weight_bytes = work.get(f"weight_bytes_{precision}")
    if work.get("linear") is None or weight_bytes is None:
        return None
    # 1e9 per second are 1e6 per millisecond.
    computing = work["linear"] / (linear * 1e6) + (work.get("attention") or 0) / (fp32 * 1e6)
    reading = weight_bytes / (bandwidth * 1e6)
    return float(max(computing, reading))


def share(results: Results, backend: Entry, shape: str) -> float | None:
    """Return the limit over the measured median: 1 is the limit, 0.5 takes twice as long."""
    turns = forward_ms(backend, shape)
    limit = limit_ms(results, shape, str(backend.get("precision")))
    return limit / median(turns) if turns and limit is not None else None
