"""What a run measures and how often: all of it, parts of it, or the little of ``--quick``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leanbert_bench.run.operations import operations
from leanbert_bench.run.scenarios import (
    MULTI_STREAM,
    OFFLINE,
    SAMPLES_PER_QUERY,
    SCENARIOS,
    SERVER,
    SINGLE_STREAM,
)

GRID = ((1, 8), (1, 32), (1, 64), (1, 128), (8, 32), (8, 128), (1, 512))
"""Batch size and tokens."""

MEASURES = {
    "forward": "token ids in, outputs out, at the shapes of --grid",
    "scenarios": "texts in, answers out, in MLPerf's scenarios",
    "answers": "accuracy, agreement with the reference, change with the batch",
    "start": "from the start of a process to its first answer",
    "memory": "resident memory after very many texts",
}
"""What a run consists of, by the names of ``--measure``."""

QUICK_SECONDS = 95.0
"""What ``--quick`` plans to spend; with what it cannot foresee it ends within two minutes."""

# What estimates suppose before anything is measured: the share of the machine's peak that a whole
# forward pass reaches, and the seconds that a process takes to import its libraries.
_SHARE = {"fp32": 0.5, "int8": 0.4}
_GUESSED_PEAK = {"fp32": 60e9, "int8": 150e9}  # operations per second and thread
_START_SECONDS = {"leanbert": 0.5}
_HEAVY_START_SECONDS = 5.0
_MEAN_TOKENS_OF_MIXED = 150


@dataclass(frozen=True)
class Part:
    """One thing that is measured in every turn."""

    name: str
    """The name of a scenario, or a shape such as ``"8x128"``."""
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Plan:
    """How much is measured. What has no rows, counts or names is left out."""

    turns: int
    grid: tuple[tuple[int, int], ...]
    scenarios: tuple[str, ...]
    grid_seconds: float
    """Seconds per shape and turn; at least 3 runs are timed."""
    single: int
    """Queries of SingleStream per turn."""
    multi: int
    """Queries of MultiStream per turn."""
    offline: int
    """Texts of Offline per turn."""
    scenario_seconds: float
    """Seconds after which no further query of SingleStream and MultiStream begins."""
    server_attempts: tuple[int, int]
    """How many rates are tried in the first turn, and in each later one."""
    server_seconds: float
    """About how many seconds one attempt takes."""
    cold_starts: int
    memory_counts: tuple[int, ...]
    """Numbers of texts of mixed lengths after which the resident set is read."""
    memory_seconds: float
    """Seconds after which no further mixed texts are answered."""
    accuracy_rows: int
    invariance_rows: int
    warmup: int
    time_limit_s: float
    """Seconds that one command to a back end may take."""
    seconds: float | None = None
    """Seconds that the whole run may take; ``None`` for no bound."""

    @property
    def quick(self) -> bool:
        """Whether the run has a budget."""
        return self.seconds is not None


FULL = Plan(
    turns=5,
    grid=GRID,
    scenarios=SCENARIOS,
    grid_seconds=0.5,
    single=100,
    multi=100,
    offline=128,
    scenario_seconds=12.0,
    server_attempts=(6, 2),
    server_seconds=4.0,
    cold_starts=5,
    memory_counts=(1_000, 10_000),
    memory_seconds=600.0,
    accuracy_rows=2_500,
    invariance_rows=256,
    warmup=3,
    time_limit_s=900.0,
)

QUICK = replace(
    FULL,
    turns=2,
    grid=((1, 8), (1, 32), (1, 128), (8, 32)),
    scenarios=(SINGLE_STREAM, OFFLINE),
    grid_seconds=0.1,
    single=10,
    multi=0,
    offline=24,
    scenario_seconds=2.0,
    cold_starts=1,
    memory_counts=(),
    accuracy_rows=24,
    invariance_rows=16,
    warmup=1,
    time_limit_s=40.0,
    seconds=QUICK_SECONDS,
)


def restricted(plan: Plan, measures: Sequence[str]) -> Plan:
    """Return the plan without what ``measures``, names of :data:`MEASURES`, leaves out."""
    leave_out: dict[str, dict[str, Any]] = {
        "forward": {"grid": ()},
        "scenarios": {"scenarios": ()},
        "answers": {"accuracy_rows": 0, "invariance_rows": 0},
        "start": {"cold_starts": 0},
        "memory": {"memory_counts": ()},
    }
    for name, change in leave_out.items():
        plan = plan if name in measures else replace(plan, **change)
    return plan if plan.grid or plan.scenarios else replace(plan, turns=0)


def parts_of(plan: Plan) -> list[Part]:
    """Return what a turn measures, in order; with a budget first what a user feels."""
    shapes = [Part(f"{rows}x{length}", (rows, length)) for rows, length in plan.grid]
    scenarios = [Part(name) for name in plan.scenarios]
    return [*scenarios, *shapes] if plan.quick else [*shapes, *scenarios]


@dataclass(frozen=True)
class Speed:
    """What an estimate supposes of a model and a machine.

    Args:
        config: the model's config.
        median_tokens: the median length of the texts.
        peaks: operations per second for ``"fp32"`` and ``"int8"``.
    """

    config: Mapping[str, Any]
    median_tokens: float
    peaks: Mapping[str, float]

    def forward(self, precision: str, batch_size: int, tokens: float) -> float:
        """Return the seconds of one forward; weights in fp16 are computed with as fp32."""
        precision = "int8" if precision == "int8" else "fp32"
        ops = operations(self.config, batch_size, max(1, round(tokens)))
        total = ops["linear"] + ops["attention"] if ops else 1e9 * batch_size
        return total / (_SHARE[precision] * self.peaks[precision])

    def one(self, precision: str) -> float:
        """Return the seconds of one text."""
        return self.forward(precision, 1, self.median_tokens)


def guessed_peaks(threads: int) -> dict[str, float]:
    """Return a guess of the operations per second of a machine that was not measured."""
    return {name: peak * threads for name, peak in _GUESSED_PEAK.items()}


def turn_seconds(plan: Plan, speed: Speed, precision: str) -> float:
    """Return roughly how many seconds a turn of one back end takes."""
    one, seconds = speed.one(precision), 0.0
    for batch_size, length in plan.grid:
        run = speed.forward(precision, batch_size, length)
        seconds += max((plan.warmup + 3) * run, plan.grid_seconds + plan.warmup * run)
    several = SAMPLES_PER_QUERY * one * (plan.multi + plan.warmup)
    each = {
        SINGLE_STREAM: min(plan.scenario_seconds, one * (plan.single + plan.warmup)),
        MULTI_STREAM: min(plan.scenario_seconds, several),
        OFFLINE: one * plan.offline,
        SERVER: 0.7 * plan.server_seconds * sum(plan.server_attempts) / 2,
    }
    return seconds + sum(each[name] for name in plan.scenarios)


def estimate_seconds(
    plan: Plan, speed: Speed, backends: Sequence[tuple[str, str, float]], rows: int
) -> float:
    """Return roughly how many seconds a run takes, from operations and the machine's peak.

    Args:
        plan: what is measured.
        speed: what is supposed of the model on the machine.
        backends: family, precision and seconds to prepare (0 if it is made) of each back end.
        rows: the number of texts that the accuracy is measured on.
    """
    seconds = 3.0 * plan.turns
    for family, precision, prepare in backends:
        start = _START_SECONDS.get(family, _HEAVY_START_SECONDS)
        one = speed.one(precision)
        seconds += prepare + (plan.cold_starts + 2) * start
        seconds += plan.turns * turn_seconds(plan, speed, precision)
        seconds += one * (min(rows, plan.accuracy_rows) + 2 * min(rows, plan.invariance_rows))
        mixed = max(plan.memory_counts, default=0)
        each_mixed = speed.forward(precision, 1, _MEAN_TOKENS_OF_MIXED)
        seconds += min(plan.memory_seconds, mixed * each_mixed)
    return math.ceil(seconds)
