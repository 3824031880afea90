"""A whole run: prepare, load, take turns, and keep every step as it is done.

All back ends are loaded at once, each in a process of its own, and block while another one is at
work. A turn goes through what is measured, and for each thing through the back ends: A B C, A B C.
So whatever else the machine does meets all of them alike, and ratios can be paired by turn. A back
end that fails loses its own row and nothing more.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from leanbert_bench.backends import REFERENCE, backend_class, missing_packages
from leanbert_bench.backends.base import sorted_batches
from leanbert_bench.cold import cold_start
from leanbert_bench.machine import BusyClock
from leanbert_bench.plan import Part, Plan, parts_of
from leanbert_bench.roof import MODULE as ROOF
from leanbert_bench.runner import WorkerError, WorkerProcess, WorkerTimeoutError
from leanbert_bench.scenarios import (
    OFFLINE,
    SAMPLES_PER_QUERY,
    SERVER,
    SINGLE_STREAM,
    Attempt,
    RateSearch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends import Backend
    from leanbert_bench.journal import Journal
    from leanbert_bench.workload import Workload

__all__ = [
    "PIPELINE",
    "RUN",
    "Row",
    "Run",
    "Spec",
    "Subject",
    "answer_rows",
]

RUN = "run"
"""The journal's name for what belongs to no back end."""

PIPELINE = "transformers-pipeline"
"""The reference of tasks whose decoding is more than a softmax."""

_BOUND_OVER_REFERENCE = 4.0
"""The Server scenario's bound: so many times the reference's median latency of one text."""

_FALLBACK_BOUND_MS = 100.0
_CHUNK = 100  # texts of one command, so that a time limit means a hang and not a large file
_MIXED_CHUNK = 50
_FEW_ROWS = 16  # to calibrate random weights on
_FEW_WORDS = 100  # any vocabulary has as many, where the config does not tell its size
_LEAST_QUERIES, _MOST_QUERIES = 60, 2000  # of one attempt in Server
_BUSY = 0.15  # cores
_QUICK_PREPARE, _QUICK_LOAD = 0.45, 0.6  # shares of the budget until which these may begin
_ORDER_OF_QUICK = (
    REFERENCE, "leanbert-int8-native", "leanbert-int8-onnxruntime", "optimum-int8",
    "openvino-int8", "ctranslate2-int8", "pytorch-dynamic-int8", "transformers-pipeline",
)  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """A back end to be measured."""

    id: str
    name: str
    factory: str
    """``module:Class`` of a :class:`~leanbert_bench.backends.Backend`."""
    precision: str
    bundle: Path | None = None
    """The bundle that the user named, if it measures one."""


@dataclass(frozen=True)
class Subject:
    """The model that all back ends run."""

    name: str
    task: str
    config: ModelConfig
    checkpoint: Path | None
    """``None`` where only given bundles are measured."""
    weights_sha256: str | None
    bytes: int
    random_weights: str | None = None


@dataclass
class Row:
    """A back end in a run."""

    spec: Spec
    kind: type[Backend]
    status: str = "ok"
    reason: str | None = None
    install: str | None = None
    model: Path | None = None
    worker: WorkerProcess | None = field(default=None, repr=False)

    def drop(self, status: str, reason: str, install: str | None = None) -> None:
        """End it: its row says why, and has no numbers."""
        self.status, self.reason, self.install = status, reason, install
        if self.worker is not None:
            self.worker.close(at_once=True)
            self.worker = None


class Run:
    """Measures; what it finds is in the journal and in :attr:`rows`.

    Args:
        plan: how much.
        specs: the back ends, in the order of tables.
        subject: the model.
        workload: the texts.
        threads: the budget of each back end.
        cache: where what back ends need is kept.
        journal: finished steps; what is in it already is not measured again.
        begin: :func:`time.monotonic` when the plan's seconds began to count; ``None`` for now.
        say: gets a line as each step begins.
        on_turn: called after each turn.
    """

    def __init__(
        self,
        plan: Plan,
        specs: Sequence[Spec],
        subject: Subject,
        workload: Workload,
        *,
        threads: int,
        cache: Path,
        journal: Journal,
        begin: float | None = None,
        say: Callable[[str], None] = lambda _: None,
        on_turn: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.subject = subject
        self.workload = workload
        self.threads = threads
        self.journal = journal
        self.warnings: list[str] = []
        self.rows = [Row(spec, backend_class(spec.factory)) for spec in specs]
        self._cache = cache
        self._say = say
        self._on_turn = on_turn
        self._begin = time.monotonic() if begin is None else begin
        self._spent: dict[tuple[str, str], float] = {}
        self._roof: WorkerProcess | None = None
        self._busy = BusyClock()

    # --- before anything is measured

    def screen(self) -> None:
        """Find out which back ends cannot run here, and why."""
        for row in self.rows:
            failed = self.journal.get(row.spec.id, "failed")
            if failed:
                row.drop(**failed)
                continue
            kind = row.kind
            made_here = row.spec.bundle is None
            if made_here and self.subject.checkpoint is None:
                row.drop("skipped", "needs a checkpoint, and only bundles were given")
                continue
            if self.subject.task not in kind.tasks:
                row.drop("skipped", f"this back end does no {self.subject.task}")
                continue
            needed = [*kind.requires, *(kind.makes_with if made_here else ())]
            absent = missing_packages(name for name in needed if name != "leanbert")
            if absent:
                what = "'leanbert[export]'" if kind.family == "leanbert" else " ".join(absent)
                row.drop("skipped", f"{', '.join(absent)} not installed", f"pip install {what}")
                continue
            reason = kind.why_not(self.subject.config) or _no_pipeline(kind, self.subject.task)
            if reason:
                row.drop("skipped", reason)

    def measure_roof(self, turn: int) -> dict[str, Any] | None:
        """One sample of the machine's limit, as :mod:`leanbert_bench.roof` finds it."""
        step = f"turn {turn}: roof"
        done = self.journal.get(RUN, step)
        if done is not None:
            return dict(done)
        self._say(f"turn {turn + 1}: the machine's limit")
        try:
            if self._roof is None:
                self._roof = WorkerProcess("", self.threads, ROOF)
                self._roof_library = self._roof.ask("load", 120.0, threads=self.threads)["library"]
            found = self._roof.ask("measure", 120.0)
        except WorkerError as error:
            self._warn(f"the machine's limit could not be measured: {error}")
            return None
        found["library"] = self._roof_library
        return dict(self.journal.put(RUN, step, found))

    # --- the run

    def execute(self) -> None:
        """Measure everything that is not in the journal yet."""
        try:
            self._prepare_all()
            self._load_all()
            self._cold_all()
            for turn in range(self.plan.turns):
                if not self._take_turn(turn):
                    break
                self._on_turn(turn)
            self._peaks()
            self._close_workers()
            self._memory_all()
        finally:
            self._close_workers(at_once=True)

    def _prepare_all(self) -> None:
        for row in self._in_order():
            if row.spec.bundle is not None:
                row.model = row.spec.bundle
                continue
            kept = self.journal.get(row.spec.id, "prepare")
            if kept is not None and Path(kept["model"]).exists():
                row.model = Path(kept["model"])
                continue
            self._say(f"prepare {row.spec.name}")
            try:
                found = self._prepare(row)
                if found is None:
                    row.drop(
                        "skipped",
                        "left out by --quick: preparing it takes too long, about "
                        f"{self.expected_preparation(row):.0f} s; a full run makes and keeps it",
                    )
                    continue
            except (WorkerError, OSError) as error:
                self._fail(row, error)
                continue
            row.model = Path(found["model"])
            self.journal.put(row.spec.id, "prepare", found)

    def _prepare(self, row: Row) -> dict[str, Any] | None:
        # In a process of its own: an export's memory must not count as the back end's.
        arguments: dict[str, Any] = {
            "checkpoint": str(self.subject.checkpoint),
            "task": self.subject.task,
            "cache": str(self._cache),
            "weights_sha256": self.subject.weights_sha256,
            "calibration_rows": _FEW_ROWS if self.subject.random_weights else None,
        }
        limit = self.plan.time_limit_s
        if self.plan.seconds is not None:
            with WorkerProcess(row.spec.factory, self.threads) as worker:
                found = worker.ask("prepare", limit, only_cached=True, **arguments)
            if found["model"] is not None:
                return found
            left = _QUICK_PREPARE * self.plan.seconds - self._elapsed()
            if self.expected_preparation(row) > left:
                return None
            limit = left + 10
        with WorkerProcess(row.spec.factory, self.threads) as worker:
            return worker.ask("prepare", limit, only_cached=False, **arguments)

    def expected_preparation(self, row: Row) -> float:
        """Seconds, if nothing is in the cache: by the size of the weights."""
        if not row.kind.seconds_to_prepare:
            return 0.0
        return max(3.0, row.kind.seconds_to_prepare * self.subject.bytes / 440e6)

    def _load_all(self) -> None:
        for row in self._in_order():
            late = self.plan.seconds is not None and (
                self._elapsed() + row.kind.seconds_to_load > _QUICK_LOAD * self.plan.seconds
            )
            if late and row.spec.id != self.reference:
                row.drop("skipped", "left out by --quick, whose time is spent; run without --quick")
                continue
            self._say(f"load {row.spec.name}")
            try:
                self._load(row)
            except (WorkerError, OSError) as error:
                self._fail(row, error)

    def _load(self, row: Row) -> None:
        id_ = row.spec.id
        row.worker = WorkerProcess(row.spec.factory, self.threads)
        _read_into_page_cache(self._model(row))
        reply = self._ask_to_load(row, row.worker)
        if self.journal.get(id_, "load") is None:
            self.journal.put(id_, "load", reply)
        if self.journal.get(RUN, "lengths") is None and self.workload.questions is None:
            texts = self.workload.texts[:2000]
            found = row.worker.ask("lengths", self._limit, texts=texts)
            self.journal.put(RUN, "lengths", found["lengths"])
        if self.subject.random_weights:
            return
        if self.subject.task in {"token-classification", "question-answering"}:
            self._predict(row, row.worker)
        else:
            self._score(row, row.worker)

    def _ask_to_load(self, row: Row, worker: WorkerProcess) -> dict[str, Any]:
        checkpoint = self.subject.checkpoint
        return worker.ask(
            "load",
            self._limit,
            model=str(self._model(row)),
            checkpoint=str(checkpoint) if checkpoint else None,
            task=self.subject.task,
            threads=self.threads,
            items=self.workload.items[:1],
        )

    def _predict(self, row: Row, worker: WorkerProcess) -> None:
        items = [self.workload.items[i] for i in answer_rows(self.workload, self.plan)]
        if self.journal.get(row.spec.id, "answers") is not None:
            return
        answers: list[Any] = []
        for i in range(0, len(items), _CHUNK // 4):
            part = items[i : i + _CHUNK // 4]
            answers += worker.ask("predict", self._limit, items=part)["answers"]
        self.journal.put(row.spec.id, "answers", answers)

    def _score(self, row: Row, worker: WorkerProcess) -> None:
        rows = answer_rows(self.workload, self.plan)
        for step, texts in self._columns(rows):
            if self.journal.get(row.spec.id, step) is None:
                scores = self._in_chunks(worker, texts)
                self.journal.put(row.spec.id, step, scores)
        few = [self.workload.texts[i] for i in rows[: self.plan.invariance_rows]]
        lengths = worker.ask("lengths", self._limit, texts=few)["lengths"]
        shuffled = list(range(len(few)))
        Random(0).shuffle(shuffled)  # noqa: S311 - an order, not a secret
        ways = {
            "sorted": sorted_batches(lengths, 32),
            "shuffled": [shuffled[i : i + 32] for i in range(0, len(few), 32)],
        }
        for way, batches in ways.items():
            if self.journal.get(row.spec.id, f"scores {way}") is None:
                found = worker.ask("scores", self._limit, texts=few, batches=batches)["scores"]
                self.journal.put(row.spec.id, f"scores {way}", found)

    def _columns(self, rows: Sequence[int]) -> list[tuple[str, list[str]]]:
        texts = self.workload.texts
        found = [("scores alone", [texts[i] for i in rows])]
        if self.workload.pairs is not None:
            found.append(("scores of pairs", [self.workload.pairs[i] for i in rows]))
        return found

    def _in_chunks(self, worker: WorkerProcess, texts: Sequence[str]) -> list[list[float]]:
        scores: list[list[float]] = []
        for i in range(0, len(texts), _CHUNK):
            part = list(texts[i : i + _CHUNK])
            alone = [[k] for k in range(len(part))]
            scores += worker.ask("scores", self._limit, texts=part, batches=alone)["scores"]
        return scores

    def _cold_all(self) -> None:
        for i in range(self.plan.cold_starts):
            for row in self._in_order():
                if self.journal.get(row.spec.id, f"cold {i}") is not None:
                    continue
                if self.plan.seconds is not None and self._left() < 0.35 * self.plan.seconds:
                    return
                self._say(f"cold start {i + 1}: {row.spec.name}")
                try:
                    found = cold_start(
                        row.spec.factory,
                        self._model(row),
                        self.subject.checkpoint,
                        self.subject.task,
                        self.threads,
                        self.workload.items[0],
                        self._limit,
                    )
                except (WorkerError, OSError) as error:
                    self._warn(f"{row.spec.name}: {error}")
                    continue
                self.journal.put(row.spec.id, f"cold {i}", found)

    def _take_turn(self, turn: int) -> bool:
        """Measure every part once; whether there was time for it."""
        self._note_busy(turn)
        if not self.plan.quick or turn == 0:
            self.measure_roof(turn)
        for part in parts_of(self.plan):
            if part.shape and not self.has_grid:
                continue
            if turn and self.plan.seconds is not None and self._cost(part) > self._left():
                self._warn(f"--quick's time was spent in turn {turn + 1}, before {part.name}")
                return False
            for row in self._alive():
                step = f"turn {turn}: {part.name}"
                if self.journal.get(row.spec.id, step) is not None:
                    continue
                if self.plan.seconds is not None and self._left() < 1.0:
                    self._warn(f"--quick's time was spent in turn {turn + 1}, in {part.name}")
                    return False
                self._say(f"turn {turn + 1}, {part.name}: {row.spec.name}")
                start = time.monotonic()
                try:
                    found = self._measure(row, part, turn)
                except WorkerError as error:
                    self._fail(row, error)
                    continue
                self._spent[row.spec.id, part.name] = time.monotonic() - start
                self.journal.put(row.spec.id, step, found)
        return True

    @property
    def has_grid(self) -> bool:
        """Whether the task's graph is called with token ids, by every back end."""
        return self.subject.task in {"text-classification", "feature-extraction"}

    def _measure(self, row: Row, part: Part, turn: int) -> Any:
        plan, worker = self.plan, row.worker
        if worker is None:
            raise WorkerError("is not running")
        if part.shape:
            return worker.ask(
                "grid",
                self._limit,
                rows=part.shape[0],
                length=part.shape[1],
                vocabulary=int(self.subject.config.raw.get("vocab_size", _FEW_WORDS)),
                warmup=plan.warmup,
                seconds=plan.grid_seconds,
                most=1000,
            )["ms"]
        if part.name == SERVER:
            return self._serve(row, worker, turn)
        if part.name == OFFLINE:
            items = self.workload.drawn(turn, plan.offline)
            warm = min(len(items), 32 * plan.warmup)
            found = worker.ask("offline", self._limit, items=items, warmup=warm)
            return {**found, "texts": len(items)}
        single = part.name == SINGLE_STREAM
        size, queries = (1, plan.single) if single else (SAMPLES_PER_QUERY, plan.multi)
        return worker.ask(
            "latency",
            self._limit,
            items=self.workload.drawn(turn, size * queries),
            size=size,
            warmup=min(plan.warmup, queries),
            seconds=plan.scenario_seconds,
        )["ms"]

    def _serve(self, row: Row, worker: WorkerProcess, turn: int) -> dict[str, Any]:
        bound = self.server_bound_ms()
        first, later = self.plan.server_attempts
        attempts = later if turn else first
        before = self.journal.get(row.spec.id, f"turn {turn - 1}: {SERVER}")
        if before and before["qps"]:
            search = RateSearch(before["qps"], attempts)
        else:
            single = self.journal.get(row.spec.id, f"turn {turn}: {SINGLE_STREAM}")
            mean = sum(single) / len(single) if single else bound / _BOUND_OVER_REFERENCE
            search = RateSearch.from_service_time(mean, attempts)
        items = self.workload.drawn(turn, 256)
        made = []
        while (qps := search.next_qps) is not None:
            queries = round(qps * self.plan.server_seconds)
            found = worker.ask(
                "server",
                self._limit,
                items=items,
                qps=qps,
                queries=max(_LEAST_QUERIES, min(queries, _MOST_QUERIES)),
                bound_ms=bound,
                seed=turn,
            )
            attempt = Attempt(qps, found["p99_ms"], found["held"])
            search.tell(attempt)
            made.append({"qps": qps, "p99_ms": attempt.p99_ms, "held": attempt.held})
        return {"attempts": made, "qps": search.best_qps or 0.0}

    @property
    def reference(self) -> str:
        """The back end that all others are compared with."""
        return REFERENCE if self.has_grid else PIPELINE

    def server_bound_ms(self) -> float:
        """The bound of the Server scenario, the same for all back ends and turns."""
        kept = self.journal.get(RUN, "server bound")
        if kept is None:
            single = self.journal.get(self.reference, f"turn 0: {SINGLE_STREAM}")
            middle = sorted(single)[len(single) // 2] if single else None
            bound = _BOUND_OVER_REFERENCE * middle if middle else _FALLBACK_BOUND_MS
            kept = self.journal.put(RUN, "server bound", bound)
        return float(kept)

    def _peaks(self) -> None:
        """Of the processes that took turns: what stands if no fresh one is measured."""
        for row in self._alive():
            if row.worker is not None and self.journal.get(row.spec.id, "peak") is None:
                with suppress(WorkerError):
                    found = row.worker.ask("memory", self._limit)
                    self.journal.put(row.spec.id, "peak", found["peak_mib"])

    def _memory_all(self) -> None:
        """Resident memory over many texts, in a fresh process that does nothing else."""
        if not self.plan.memory_counts or self.workload.questions is not None:
            return
        for row in self._in_order():
            if self.journal.get(row.spec.id, "memory") is not None:
                continue
            self._say(f"memory: {row.spec.name}")
            try:
                found = self._memory(row)
            except (WorkerError, OSError) as error:
                self._warn(f"{row.spec.name}: memory not measured: {error}")
                continue
            self.journal.put(row.spec.id, "memory", found)

    def _memory(self, row: Row) -> dict[str, Any]:
        begin = time.monotonic()
        sizes: dict[str, float] = {}
        with WorkerProcess(row.spec.factory, self.threads) as worker:
            self._ask_to_load(row, worker)
            done = 0
            for count in self.plan.memory_counts:
                while done < count:
                    left = self.plan.memory_seconds - (time.monotonic() - begin)
                    if left <= 0:
                        self._warn(
                            f"{row.spec.name}: {self.plan.memory_seconds:.0f} s were over before "
                            f"{count:,} texts of mixed lengths"
                        )
                        break
                    found = worker.ask(
                        "mixed",
                        self._limit,
                        first=done,
                        count=min(500, count - done),
                        chunk=_MIXED_CHUNK,
                        seconds=left,
                    )
                    done += found["done"]
                if done < count:
                    break
                if found["rss_mib"] is not None:
                    sizes[str(count)] = found["rss_mib"]
            peak = worker.ask("memory", self._limit)["peak_mib"]
        return {"peak_rss_mib": peak, "rss_mib_after": sizes}

    # --- helpers

    @property
    def _limit(self) -> float:
        if self.plan.seconds is None:
            return self.plan.time_limit_s
        return max(5.0, min(self.plan.time_limit_s, self._left() + 5.0))

    def _elapsed(self) -> float:
        return time.monotonic() - self._begin

    def _left(self) -> float:
        return (self.plan.seconds or 0.0) - self._elapsed()

    def _cost(self, part: Part) -> float:
        """Seconds that a part took all back ends together, last time."""
        return sum(self._spent.get((row.spec.id, part.name), 0.0) for row in self._alive())

    def _alive(self) -> list[Row]:
        return [row for row in self.rows if row.status == "ok"]

    def _in_order(self) -> list[Row]:
        """As in tables; with a budget what matters most comes first."""
        rows = self._alive()
        if not self.plan.quick:
            return rows
        place = {id_: i for i, id_ in enumerate(_ORDER_OF_QUICK)}
        given = [row for row in rows if row.spec.bundle is not None]
        rest = [row for row in rows if row.spec.bundle is None]
        rest.sort(key=lambda row: place.get(row.spec.id, len(place)))
        return [*rest[:1], *given, *rest[1:]]

    @staticmethod
    def _model(row: Row) -> Path:
        if row.model is None:
            raise WorkerError("is not prepared")
        return row.model

    def _fail(self, row: Row, error: Exception) -> None:
        status = "timed_out" if isinstance(error, WorkerTimeoutError) else "failed"
        row.drop(status, " ".join(str(error).split()))
        self.journal.put(row.spec.id, "failed", {"status": status, "reason": row.reason})
        self._say(f"{row.spec.name}: {status.replace('_', ' ')}: {row.reason}")

    def _warn(self, line: str) -> None:
        self.warnings.append(line)
        self._say(f"warning: {line}")

    def _note_busy(self, turn: int) -> None:
        cores = self._busy.cores_busy()
        if cores is not None and cores > _BUSY:
            self._warn(
                f"before turn {turn + 1}, while all back ends waited, other processes kept "
                f"{cores:.1f} cores busy"
            )

    def _close_workers(self, *, at_once: bool = False) -> None:
        for row in self.rows:
            if row.worker is not None:
                row.worker.close(at_once=at_once)
                row.worker = None
        if self._roof is not None:
            self._roof.close(at_once=at_once)
            self._roof = None


def answer_rows(workload: Workload, plan: Plan) -> list[int]:
    """The rows that answers are compared on: all, or a seeded sample where there are many."""
    rows = list(range(len(workload.texts)))
    if len(rows) > plan.accuracy_rows:
        rows = sorted(Random(0).sample(rows, plan.accuracy_rows))  # noqa: S311 - not a secret
    return rows


def _no_pipeline(kind: type[Backend], task: str) -> str | None:
    if kind.family != "leanbert":
        return None
    from leanbert.pipelines import TASKS

    return None if task in TASKS else f"this LeanBERT does no {task}"


def _read_into_page_cache(folder: Path) -> None:
    """Read the files once, so that no back end's load time pays for a cold disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
