"""What the samples of a back end say: one value a turn, and the ratio to the reference.

Nothing here fails on what is absent: a back end without samples gives an empty list, or ``None``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert_bench.document import dig
from leanbert_bench.statistics import (
    Estimate,
    estimate,
    geometric_mean,
    median,
    paired_ratio,
    percentile,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "cold_start_s",
    "estimated",
    "faster",
    "forward_ms",
    "grid_ms",
    "grid_speedup",
    "headline_accuracy",
    "more",
    "multi_stream_ms",
    "offline_texts_per_s",
    "rss_mib_after",
    "server_qps",
    "shapes_in",
    "single_stream_ms",
]

_HEADLINES = (
    ("accuracy", "accuracy"),
    ("entity_f1", "entity F1"),
    ("f1", "F1"),
    ("spearman", "Spearman"),
)


def forward_ms(backend: Mapping[str, Any], shape: str) -> list[float]:
    """The median forward pass of each turn, in ms; token ids in, no tokenization."""
    return [median(turn) for turn in _turns(dig(backend, "grid", shape, "forward_ms"))]


def single_stream_ms(backend: Mapping[str, Any], percent: float = 90) -> list[float]:
    """One text a query, end to end: p90 of each turn in ms, MLPerf's SingleStream."""
    turns = _turns(dig(backend, "scenarios", "SingleStream", "latency_ms"))
    return [percentile(turn, percent) for turn in turns]


def multi_stream_ms(backend: Mapping[str, Any], percent: float = 99) -> list[float]:
    """Eight texts a query, end to end: p99 of each turn in ms, MLPerf's MultiStream."""
    turns = _turns(dig(backend, "scenarios", "MultiStream", "latency_ms"))
    return [percentile(turn, percent) for turn in turns]


def offline_texts_per_s(backend: Mapping[str, Any]) -> list[float]:
    """All texts at once, shuffled, end to end: texts a second of each turn."""
    return _numbers(dig(backend, "scenarios", "Offline", "texts_per_s"))


def server_qps(backend: Mapping[str, Any]) -> list[float]:
    """The highest rate of Poisson arrivals of each turn whose p99 stayed under the bound."""
    return _numbers(dig(backend, "scenarios", "Server", "qps"))


def cold_start_s(backend: Mapping[str, Any]) -> list[float]:
    """Process start to first answer in seconds, a value a start."""
    return _numbers(dig(backend, "cold_start_s"))


def rss_mib_after(backend: Mapping[str, Any]) -> dict[int, float]:
    """Resident memory in MiB after so many texts of mixed lengths, by their number."""
    found = dig(backend, "memory", "rss_mib_after") or {}
    return {
        int(texts): float(found[texts])
        for texts in sorted(found, key=int)
        if found[texts] is not None
    }


def shapes_in(backend: Mapping[str, Any]) -> list[str]:
    """The shapes that this back end was measured at."""
    return [shape for shape in dig(backend, "grid") or {} if forward_ms(backend, shape)]


def grid_ms(backend: Mapping[str, Any], shapes: Sequence[str]) -> list[float]:
    """The geometric mean of the forward passes over ``shapes``, a value a turn."""
    each = [forward_ms(backend, shape) for shape in shapes]
    if not each or not all(each):
        return []
    return [geometric_mean(row) for row in zip(*each, strict=False)]


def grid_speedup(backend: Mapping[str, Any], reference: Mapping[str, Any]) -> Estimate | None:
    """How many times faster than the reference: geometric mean over the shapes both did."""
    both = [shape for shape in shapes_in(reference) if shape in shapes_in(backend)]
    return faster(grid_ms(backend, both), grid_ms(reference, both))


def faster(turns: Sequence[float], reference: Sequence[float]) -> Estimate | None:
    """``reference / turns`` of two latencies, paired by turn: above 1 is faster."""
    return paired_ratio(reference, turns) if turns and reference and min(turns) > 0 else None


def more(turns: Sequence[float], reference: Sequence[float]) -> Estimate | None:
    """``turns / reference`` of two rates, paired by turn: above 1 is faster."""
    return paired_ratio(turns, reference) if turns and reference and min(reference) > 0 else None


def estimated(turns: Sequence[float]) -> Estimate | None:
    """The median of the turns with its interval, if there are any."""
    return estimate(turns) if turns else None


def headline_accuracy(backend: Mapping[str, Any]) -> tuple[str, float] | None:
    """The task's first measure of being right, by name, as a share of 1; ``None`` without labels.

    Accuracy for classification, entity F1, SQuAD's F1, or Spearman's correlation.
    """
    for key, title in _HEADLINES:
        value = dig(backend, "accuracy", key)
        if value is not None:
            return title, float(value)
    return None


def _turns(value: Any) -> list[list[float]]:
    """A list a turn; a turn that has only begun has no samples yet and is left out."""
    return [turn for turn in value or [] if turn]


def _numbers(value: Any) -> list[float]:
    return [float(number) for number in value or [] if number is not None]
