"""One turn of a back end at a shape or a scenario: the commands that its process gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert_bench.run.participants import RUN
from leanbert_bench.run.scenarios import (
    OFFLINE,
    SAMPLES_PER_QUERY,
    SERVER,
    SINGLE_STREAM,
    Attempt,
    RateSearch,
)

if TYPE_CHECKING:
    from leanbert_bench.run.participants import Bench
    from leanbert_bench.run.plan import Part
    from leanbert_bench.run.process import WorkerProcess


_BOUND_OVER_REFERENCE = 4.0
"""The Server scenario's bound in multiples of the reference's median latency of one text."""

_FALLBACK_BOUND_MS = 100.0
_LEAST_QUERIES, _MOST_QUERIES = 60, 2000  # per attempt in Server
_FEW_WORDS = 100  # where the config does not say how large the vocabulary is


def measure_part(
    bench: Bench, id_: str, worker: WorkerProcess, part: Part, turn: int, limit: float
) -> Any:
    """Return what one turn of a loaded back end gives for a shape or a scenario.

    Args:
        bench: how much is measured.
        id_: the back end.
        worker: its process.
        part: the shape or scenario.
        turn: the turn's number from 0, which decides the texts for all back ends alike.
        limit: seconds for each command.

    Raises:
        WorkerError: it failed.
    """
    plan = bench.plan
    if part.shape:
        return worker.ask(
            "grid",
            limit,
            rows=part.shape[0],
            length=part.shape[1],
            vocabulary=int(bench.subject.config.raw.get("vocab_size", _FEW_WORDS)),
            warmup=plan.warmup,
            seconds=plan.grid_seconds,
            most=1000,
        )["ms"]
    if part.name == SERVER:
        return _serve(bench, id_, worker, turn, limit)
    if part.name == OFFLINE:
        items = bench.workload.drawn(turn, plan.offline)
        warm = min(len(items), 32 * plan.warmup)
        found = worker.ask("offline", limit, items=items, warmup=warm)
        return {**found, "texts": len(items)}
    single = part.name == SINGLE_STREAM
    size, queries = (1, plan.single) if single else (SAMPLES_PER_QUERY, plan.multi)
    return worker.ask(
        "latency",
        limit,
        items=bench.workload.drawn(turn, size * queries),
        size=size,
        warmup=min(plan.warmup, queries),
        seconds=plan.scenario_seconds,
    )["ms"]


def _serve(
    bench: Bench, id_: str, worker: WorkerProcess, turn: int, limit: float
) -> dict[str, Any]:
    bound = server_bound_ms(bench)
    first, later = bench.plan.server_attempts
    attempts = later if turn else first
    before = bench.journal.get(id_, f"turn {turn - 1}: {SERVER}")
    if before and before["qps"]:
        search = RateSearch(before["qps"], attempts)
    else:
        single = bench.journal.get(id_, f"turn {turn}: {SINGLE_STREAM}")
        mean = sum(single) / len(single) if single else bound / _BOUND_OVER_REFERENCE
        search = RateSearch.from_service_time(mean, attempts)
    items = bench.workload.drawn(turn, 256)
    made = []
    while (qps := search.next_qps) is not None:
        queries = round(qps * bench.plan.server_seconds)
        found = worker.ask(
            "server",
            limit,
            items=items,
            qps=qps,
            queries=max(_LEAST_QUERIES, min(queries, _MOST_QUERIES)),
            bound_ms=bound,
            seed=turn,
        )
        attempt = Attempt(qps, found["p99_ms"], found["held"])
        search.take(attempt)
        made.append({"qps": qps, "p99_ms": attempt.p99_ms, "held": attempt.held})
    return {"attempts": made, "qps": search.best_qps or 0.0}


def server_bound_ms(bench: Bench) -> float:
    """Return the bound of the Server scenario in ms, the same for all back ends and turns."""
    kept = bench.journal.get(RUN, "server bound")
    if kept is None:
        single = bench.journal.get(bench.reference, f"turn 0: {SINGLE_STREAM}")
        middle = sorted(single)[len(single) // 2] if single else None
        bound = _BOUND_OVER_REFERENCE * middle if middle else _FALLBACK_BOUND_MS
        kept = bench.journal.put(RUN, "server bound", bound)
    return float(kept)
