"""Resident memory over very many texts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from leanbert_bench.run.loading import ask_to_load
from leanbert_bench.run.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from leanbert_bench.run.participants import Bench, Participant


_PER_COMMAND = 500  # texts
_AT_ONCE = 50  # texts that are answered together


def measure_memory(
    bench: Bench, who: Participant, limit: float, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Answer texts of mixed lengths in a process that does nothing else.

    Returns:
        ``peak_rss_mib``, and ``rss_mib_after`` by each of the plan's numbers of texts.

    Raises:
        WorkerError: the back end failed.
    """
    begin = time.monotonic()
    sizes: dict[str, float] = {}
    with WorkerProcess(who.spec.factory, bench.threads) as worker:
        ask_to_load(bench, who, worker, limit)
        done = 0
        for count in bench.plan.memory_counts:
            while done < count:
                left = bench.plan.memory_seconds - (time.monotonic() - begin)
                if left <= 0:
                    warn(
                        f"{who.spec.name}: {bench.plan.memory_seconds:.0f} s were over before "
                        f"{count:,} texts of mixed lengths"
                    )
                    break
                found = worker.ask(
                    "mixed",
                    limit,
                    first=done,
                    count=min(_PER_COMMAND, count - done),
                    chunk=_AT_ONCE,
                    seconds=left,
                )
                done += found["done"]
            if done < count:
                break
            if found["rss_mib"] is not None:
                sizes[str(count)] = found["rss_mib"]
        peak = worker.ask("memory", limit)["peak_mib"]
    return {"peak_rss_mib": peak, "rss_mib_after": sizes}
