"""What each back end answers, for accuracy, agreement and batch invariance."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from leanbert_bench.backends.base import sorted_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert_bench.run.participants import Bench
    from leanbert_bench.run.plan import Plan
    from leanbert_bench.run.process import WorkerProcess
    from leanbert_bench.run.workload import Workload


_CHUNK = 100  # texts per command, so that only a hang meets the time limit, not a large file
_BATCH = 32


def collect_answers(bench: Bench, id_: str, worker: WorkerProcess, limit: float) -> None:
    """Put into the journal what a loaded back end answers to texts alone and in batches.

    Args:
        bench: what is asked.
        id_: the back end.
        worker: its process.
        limit: seconds for each command.

    Raises:
        WorkerError: it failed.
    """
    if bench.subject.random_weights or not bench.plan.accuracy_rows:  # random ones mean nothing
        return
    if bench.has_grid:
        _score(bench, id_, worker, limit)
    else:
        _predict(bench, id_, worker, limit)


def answer_rows(workload: Workload, plan: Plan) -> list[int]:
    """Return the rows whose answers are compared: all, or a seeded sample of very many."""
    rows = list(range(len(workload.texts)))
    if len(rows) > plan.accuracy_rows:
        rows = sorted(Random(0).sample(rows, plan.accuracy_rows))  # noqa: S311 - not a secret
    return rows


def _predict(bench: Bench, id_: str, worker: WorkerProcess, limit: float) -> None:
    items = [bench.workload.items[i] for i in answer_rows(bench.workload, bench.plan)]
    if bench.journal.get(id_, "answers") is not None:
        return
    answers: list[Any] = []
    for i in range(0, len(items), _CHUNK // 4):
        part = items[i : i + _CHUNK // 4]
        answers += worker.ask("predict", limit, items=part)["answers"]
    bench.journal.put(id_, "answers", answers)


def _score(bench: Bench, id_: str, worker: WorkerProcess, limit: float) -> None:
    rows = answer_rows(bench.workload, bench.plan)
    for step, texts in _columns(bench.workload, rows):
        if bench.journal.get(id_, step) is None:
            scores = _in_chunks(worker, texts, limit)
            bench.journal.put(id_, step, scores)
    few = [bench.workload.texts[i] for i in rows[: bench.plan.invariance_rows]]
    lengths = worker.ask("lengths", limit, texts=few)["lengths"]
    shuffled = list(range(len(few)))
    Random(0).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    ways = {
        "sorted": sorted_batches(lengths, _BATCH),
        "shuffled": [shuffled[i : i + _BATCH] for i in range(0, len(few), _BATCH)],
    }
    for way, batches in ways.items():
        if bench.journal.get(id_, f"scores {way}") is None:
            found = worker.ask("scores", limit, texts=few, batches=batches)["scores"]
            bench.journal.put(id_, f"scores {way}", found)


def _columns(workload: Workload, rows: Sequence[int]) -> list[tuple[str, list[str]]]:
    texts = workload.texts
    found = [("scores alone", [texts[i] for i in rows])]
    if workload.pairs is not None:
        found.append(("scores of pairs", [workload.pairs[i] for i in rows]))
    return found


def _in_chunks(worker: WorkerProcess, texts: Sequence[str], limit: float) -> list[list[float]]:
    scores: list[list[float]] = []
    for i in range(0, len(texts), _CHUNK):
        part = list(texts[i : i + _CHUNK])
        alone = [[k] for k in range(len(part))]
        scores += worker.ask("scores", limit, texts=part, batches=alone)["scores"]
    return scores
