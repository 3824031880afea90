"""Making and loading what a back end runs, each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert_bench.run.answering import collect_answers
from leanbert_bench.run.budget import expected_preparation
from leanbert_bench.run.participants import RUN
from leanbert_bench.run.process import WorkerProcess, WorkerTimeoutError

if TYPE_CHECKING:
    from pathlib import Path

    from leanbert_bench.run.budget import Budget
    from leanbert_bench.run.participants import Bench, Participant


_FEW_ROWS = 12  # to calibrate random weights on
_MOST_LENGTHS = 2000  # texts that are tokenized to learn their lengths


def prepare(bench: Bench, who: Participant, cache: Path, budget: Budget) -> dict[str, Any] | None:
    """Make what a back end loads, or find it in ``cache``.

    It happens in a process of its own: an export's memory must not count as the back end's.

    Returns:
        The path of the ``model`` and the ``seconds`` it took; ``None`` if the budget of ``--quick``
        has no time for it.

    Raises:
        WorkerError: it cannot be made.
    """
    arguments: dict[str, Any] = {
        "checkpoint": str(bench.subject.checkpoint),
        "task": bench.subject.task,
        "cache": str(cache),
        "weights_sha256": bench.subject.weights_sha256,
        "calibration_rows": _FEW_ROWS if bench.subject.random_weights else None,
    }

    def ask(limit: float, *, only_cached: bool) -> dict[str, Any]:
        with WorkerProcess(who.spec.factory, bench.threads) as worker:
            return worker.ask("prepare", limit, only_cached=only_cached, **arguments)

    if bench.plan.quick:
        found = ask(bench.plan.time_limit_s, only_cached=True)
        if found["model"] is not None:
            return found
    limit = budget.limit_to_prepare(expected_preparation(who.kind, bench))
    if limit is None:
        return None
    try:
        return ask(limit, only_cached=False)
    except WorkerTimeoutError:
        if bench.plan.quick:
            return None
        raise


def load(bench: Bench, who: Participant, budget: Budget) -> None:
    """Load a back end in the process that will take its turns, and collect its answers.

    Raises:
        WorkerError: it cannot be loaded, or fails to answer.
    """
    id_ = who.spec.id
    who.worker = WorkerProcess(who.spec.factory, bench.threads)
    _read_into_page_cache(who.prepared)
    reply = ask_to_load(bench, who, who.worker, budget.limit)
    if bench.journal.get(id_, "load") is None:
        bench.journal.put(id_, "load", reply)
    if bench.journal.get(RUN, "lengths") is None and bench.workload.questions is None:
        texts = bench.workload.texts[:_MOST_LENGTHS]
        found = who.worker.ask("lengths", budget.limit, texts=texts)
        bench.journal.put(RUN, "lengths", found["lengths"])
    collect_answers(bench, id_, who.worker, budget.limit)


def ask_to_load(
    bench: Bench, who: Participant, worker: WorkerProcess, limit: float
) -> dict[str, Any]:
    """Let a worker load its back end and answer once.

    Raises:
        WorkerError: it cannot.
    """
    checkpoint = bench.subject.checkpoint
    return worker.ask(
        "load",
        limit,
        model=str(who.prepared),
        checkpoint=str(checkpoint) if checkpoint else None,
        task=bench.subject.task,
        threads=bench.threads,
        items=bench.workload.items[:1],
    )


def _read_into_page_cache(folder: Path) -> None:
    """Read the files once, so that no back end's load time pays for a cold disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
