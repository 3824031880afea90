"""What the samples of a back end say: one value per turn, and ratios between back ends.

A turn holds a list of samples, or the summary that :func:`summarized` makes of them. Nothing here
fails on what is absent: a back end without samples gives an empty list, or ``None``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leanbert_bench.results.access import Entry, dig
from leanbert_bench.statistics import (
    Estimate,
    estimate,
    geometric_mean,
    median,
    paired_ratio,
    percentile,
)

_HEADLINES = (
    ("accuracy", "accuracy"),
    ("entity_f1", "entity F1"),
    ("f1", "F1"),
    ("spearman", "Spearman"),
)


def summarized(turn: Any) -> dict[str, float]:
    """Return the count of a turn's samples with their median, p90 and p99; a summary stays.

    Raises:
        ValueError: the turn has no samples.
    """
    if isinstance(turn, dict):
        return turn
    tail = {f"p{share}": percentile(turn, share) for share in (90, 99)}
    return {"samples": len(turn), "median": median(turn), **tail}


def sample_count(turn: Any) -> int:
    """Return how many samples a turn had, in either form."""
    return int(turn["samples"]) if isinstance(turn, dict) else len(turn)


def forward_ms(backend: Entry, shape: str) -> list[float]:
    """Return the median forward time of each turn in ms: token ids in, outputs out."""
    return _summaries(dig(backend, "grid", shape, "forward_ms"), "median")


def single_stream_ms(backend: Entry) -> list[float]:
    """Return each turn's p90 in ms of one text per query, end to end: MLPerf's SingleStream."""
    return _summaries(dig(backend, "scenarios", "SingleStream", "latency_ms"), "p90")


def multi_stream_ms(backend: Entry) -> list[float]:
    """Return each turn's p99 in ms of eight texts per query, end to end: MLPerf's MultiStream."""
    return _summaries(dig(backend, "scenarios", "MultiStream", "latency_ms"), "p99")


def offline_texts_per_s(backend: Entry) -> list[float]:
    """Return each turn's texts per second, given all at once and shuffled: MLPerf's Offline."""
    return _numbers(dig(backend, "scenarios", "Offline", "texts_per_s"))


def server_qps(backend: Entry) -> list[float]:
    """Return each turn's highest rate of arrivals whose p99 kept the bound: MLPerf's Server."""
    return _numbers(dig(backend, "scenarios", "Server", "qps"))


def cold_start_s(backend: Entry) -> list[float]:
    """Return the seconds from the start of a process to its first answer, one value per start."""
    return _numbers(dig(backend, "cold_start_s"))


def first_answer_s(backend: Entry) -> list[float]:
    """Return the seconds from loading to the first answer, after the imports."""
    whole = _numbers(dig(backend, "first_answer_s"))
    if whole:
        return whole
    pairs = zip(
        _numbers(dig(backend, "load_s")), _numbers(dig(backend, "first_forward_s")), strict=False
    )
    return [load + first for load, first in pairs]


def rss_mib_after(backend: Entry) -> dict[int, float]:
    """Return resident memory in MiB by the number of texts of mixed lengths answered before."""
    found = dig(backend, "memory", "rss_mib_after") or {}
    return {
        int(texts): float(found[texts])
        for texts in sorted(found, key=int)
        if found[texts] is not None
    }


def shapes_in(backend: Entry) -> list[str]:
    """Return the shapes that this back end was measured at."""
    return [shape for shape in dig(backend, "grid") or {} if forward_ms(backend, shape)]


def grid_ms(backend: Entry, shapes: Sequence[str]) -> list[float]:
    """Return the geometric mean of the forward times over ``shapes``, one value per turn."""
    each = [forward_ms(backend, shape) for shape in shapes]
    if not each or not all(each):
        return []
    return [geometric_mean(row) for row in zip(*each, strict=False)]


def grid_speedup(backend: Entry, reference: Entry) -> Estimate | None:
    """Return how many times faster it is than the reference, over the shapes that both did."""
    both = [shape for shape in shapes_in(reference) if shape in shapes_in(backend)]
    return faster(grid_ms(backend, both), grid_ms(reference, both))


def faster(turns: Sequence[float], reference: Sequence[float]) -> Estimate | None:
    """Return ``reference / turns`` of two latencies, paired by turn: above 1 is faster."""
    return paired_ratio(reference, turns) if turns and reference and min(turns) > 0 else None


def more(turns: Sequence[float], reference: Sequence[float]) -> Estimate | None:
    """Return ``turns / reference`` of two rates, paired by turn: above 1 is faster."""
    return paired_ratio(turns, reference) if turns and reference and min(reference) > 0 else None


def estimated(turns: Sequence[float]) -> Estimate | None:
    """Return the median of the turns with its interval, or ``None`` if there are no turns."""
    return estimate(turns) if turns else None


def headline_accuracy(backend: Entry) -> tuple[str, float] | None:
    """Return the task's first measure of being right: its name, and its value as a share of 1.

    That is accuracy for classification, entity F1, SQuAD's F1, or Spearman's correlation;
    ``None`` if the texts had no labels.
    """
    for key, title in _HEADLINES:
        value = dig(backend, "accuracy", key)
        if value is not None:
            return title, float(value)
    return None


def _summaries(turns: Any, key: str) -> list[float]:
    """One value per turn; a turn that has only begun has no samples yet and is left out."""
    return [float(summarized(turn)[key]) for turn in turns or [] if turn]


def _numbers(value: Any) -> list[float]:
    return [float(number) for number in value or [] if number is not None]
