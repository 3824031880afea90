"""Warnings of what makes the numbers of a run doubtful."""

from __future__ import annotations

from collections.abc import Iterator

from leanbert_bench.report.formatting import percent
from leanbert_bench.results.access import Entry, Results, dig, measured, name_of
from leanbert_bench.results.per_turn import (
    cold_start_s,
    grid_ms,
    multi_stream_ms,
    offline_texts_per_s,
    sample_count,
    shapes_in,
    single_stream_ms,
)
from leanbert_bench.statistics import drift, geometric_mean, median, spread

_FEW_TURNS = 4
_WIDE_SPREAD = 0.25
_DRIFT = 0.10
_ENOUGH_FOR_P99 = 100

_LISTED = 4
"""How many back ends one warning names."""


def all_warnings(results: Results) -> list[str]:
    """Return the run's own warnings, then those of :func:`noise_warnings`."""
    own = [" ".join(str(line).split()) for line in results.get("warnings") or []]
    return own + [line for line in noise_warnings(results) if line not in own]


def noise_warnings(results: Results) -> list[str]:
    """Return a line for each: an unfinished run, few turns, spread, drift, thin percentiles.

    The limits are fewer than 4 turns; turns that lie 25% apart; a machine that is 10% slower or
    faster in the second half; fewer than 100 samples per turn for a p99.
    """
    return [
        *_unfinished(results), *_few_turns(results), *_spread(results), *_drift(results),
        *_thin_percentiles(results),
    ]  # fmt: skip


def _unfinished(results: Results) -> Iterator[str]:
    if results.get("complete") is False:
        yield "the run is not complete: what is missing below was not measured yet"
    if dig(results, "model", "random_weights"):
        yield "random weights: speed is what it would be, answers and accuracy mean nothing"


def _few_turns(results: Results) -> Iterator[str]:
    turns = dig(results, "settings", "turns")
    if not turns:
        return
    if turns < 2:
        yield "one turn only: there are no intervals, and no difference can be called significant"
    elif turns < _FEW_TURNS:
        yield f"{turns} turns only: an interval of so few says little; five or more are better"


def _of_each_turn(backend: Entry) -> dict[str, list[float]]:
    return {
        "forward pass": grid_ms(backend, shapes_in(backend)),
        "SingleStream": single_stream_ms(backend),
        "Offline": offline_texts_per_s(backend),
        "cold start": cold_start_s(backend),
    }


def _spread(results: Results) -> Iterator[str]:
    wide: dict[str, list[tuple[float, str]]] = {}
    for backend in measured(results):
        for what, turns in _of_each_turn(backend).items():
            if len(turns) > 1 and spread(turns) > _WIDE_SPREAD:
                wide.setdefault(what, []).append((spread(turns), name_of(backend)))
    for what, found in wide.items():
        found.sort(reverse=True)
        names = [f"{name} ({percent(value, 0)})" for value, name in found[:_LISTED]]
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        yield f"{what}: the turns lie far apart for {'; '.join(names)}{more}"


def _drift(results: Results) -> Iterator[str]:
    """The drift of the machine: what all back ends show alike."""
    relative = []
    for backend in measured(results):
        turns = grid_ms(backend, shapes_in(backend)) or single_stream_ms(backend)
        if len(turns) >= _FEW_TURNS:
            relative.append([turn / median(turns) for turn in turns])
    if not relative:
        return
    machine = [geometric_mean(turn) for turn in zip(*relative, strict=False)]
    change = drift(machine)
    if abs(change - 1) > _DRIFT:
        word = "slower" if change > 1 else "faster"
        yield (
            f"drift: the machine was {percent(abs(change - 1), 0)} {word} in the second half of "
            "the run; ratios are paired by turn and suffer less than times"
        )


def _thin_percentiles(results: Results) -> Iterator[str]:
    counts = [
        sample_count(turn)
        for backend in measured(results)
        if multi_stream_ms(backend)
        for turn in dig(backend, "scenarios", "MultiStream", "latency_ms")
        if turn
    ]
    if counts and min(counts) < _ENOUGH_FOR_P99:
        yield (
            f"MultiStream: {min(counts)} queries per turn, so that p99 is the slowest of them; "
            f"{_ENOUGH_FOR_P99} would be needed"
        )
