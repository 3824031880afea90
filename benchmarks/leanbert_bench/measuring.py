"""A whole run: prepare, load, take turns, and keep every step as it is done.

All back ends are loaded at once, each in a process of its own, and block while another one is at
work. A turn goes through what is measured, and for each thing through the back ends: A B C, A B C.
So whatever else the machine does meets all of them alike, and ratios can be paired by turn. A back
end that fails loses its own row and nothing more.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert_bench.answering import collect_answers
from leanbert_bench.backends import REFERENCE, backend_class
from leanbert_bench.cold import cold_start
from leanbert_bench.machine import BusyClock
from leanbert_bench.memory import measure_memory
from leanbert_bench.plan import Part, Plan, Speed, guessed_peaks, parts_of, turn_seconds
from leanbert_bench.preparing import weights_of
from leanbert_bench.roof import MODULE as ROOF
from leanbert_bench.rows import RUN, Bench, Row, Spec, Subject, ask_to_load, screen
from leanbert_bench.runner import WorkerError, WorkerProcess, WorkerTimeoutError
from leanbert_bench.turns import measure_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leanbert_bench.journal import Journal
    from leanbert_bench.workload import Workload

__all__ = ["Run"]

_FEW_ROWS = 12  # to calibrate random weights on
_BUSY = 0.15  # cores
_QUICK_PREPARE = 0.65  # share of the budget until which something may be prepared
_LAST = 5.0  # seconds of --quick for the machine's limit and what else is left
_TOKENS_OF_A_WORD = 1.4  # of English news, by BERT's vocabulary
_ORDER_OF_QUICK = (
    REFERENCE, "leanbert-int8-native", "leanbert-int8-onnxruntime", "optimum-int8",
    "openvino-int8", "ctranslate2-int8", "pytorch-dynamic-int8", "transformers-pipeline",
)  # fmt: skip


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
        self.bench = Bench(plan, subject, workload, threads, journal)
        self.plan, self.subject, self.workload = plan, subject, workload
        self.threads, self.journal = threads, journal
        self.warnings: list[str] = list(journal.get(RUN, "warnings") or [])
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
            else:
                screen(row, self.subject)

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
            self._check_weights()
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
                        "left out by --quick: preparing it takes too long; a full run makes and "
                        "keeps it",
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
            expected = self.expected_preparation(row)
            if expected > left:
                return None
            limit = min(left + _LAST, max(20.0, 3 * expected))
        try:
            with WorkerProcess(row.spec.factory, self.threads) as worker:
                return worker.ask("prepare", limit, only_cached=False, **arguments)
        except WorkerTimeoutError:
            if self.plan.quick:
                return None
            raise

    def expected_preparation(self, row: Row) -> float:
        """Seconds, if nothing is in the cache: by the size of the weights."""
        kind, random = row.kind, self.subject.random_weights is not None
        seconds = kind.seconds_if_random if random else None
        seconds = kind.seconds_to_prepare if seconds is None else seconds
        return max(3.0, seconds * self.subject.bytes / 440e6) if seconds else 0.0

    def _load_all(self) -> None:
        taken: list[Row] = []
        for row in self._in_order():
            if row.spec.id != self.bench.reference and self._too_late(row, taken):
                row.drop("skipped", "left out by --quick, whose time is spent; run without --quick")
                continue
            self._say(f"load {row.spec.name}")
            taken.append(row)
            try:
                self._load(row)
            except (WorkerError, OSError) as error:
                self._fail(row, error)

    def _too_late(self, row: Row, taken: Sequence[Row]) -> bool:
        """Whether to load this one would leave no time for a turn of all that are taken."""
        if self.plan.seconds is None:
            return False
        speed, all_ = self.speed(), {one.spec.id: one for one in (*taken, row)}
        turn = sum(turn_seconds(self.plan, speed, one.spec.precision) for one in all_.values())
        return self._elapsed() + row.kind.seconds_to_load + turn + _LAST > self.plan.seconds

    def speed(self, peaks: Mapping[str, float] | None = None) -> Speed:
        """What estimates suppose; ``peaks`` in operations a second, if measured."""
        words = sorted(len(text.split()) for text in self.workload.texts)
        return Speed(
            self.subject.config.raw,
            _TOKENS_OF_A_WORD * words[len(words) // 2] + 2,
            peaks or guessed_peaks(self.threads),
        )

    def _load(self, row: Row) -> None:
        id_ = row.spec.id
        row.worker = WorkerProcess(row.spec.factory, self.threads)
        _read_into_page_cache(row.prepared)
        reply = ask_to_load(self.bench, row, row.worker, self._limit)
        if self.journal.get(id_, "load") is None:
            self.journal.put(id_, "load", reply)
        if self.journal.get(RUN, "lengths") is None and self.workload.questions is None:
            texts = self.workload.texts[:2000]
            found = row.worker.ask("lengths", self._limit, texts=texts)
            self.journal.put(RUN, "lengths", found["lengths"])
        collect_answers(self.bench, id_, row.worker, self._limit)

    def _cold_all(self) -> None:
        for i in range(self.plan.cold_starts):
            for row in self._in_order():
                if self.journal.get(row.spec.id, f"cold {i}") is not None:
                    continue
                if self._too_late(row, self._alive()):
                    return
                self._say(f"cold start {i + 1}: {row.spec.name}")
                try:
                    found = cold_start(
                        row.spec.factory,
                        row.prepared,
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
            if part.shape and not self.bench.has_grid:
                continue
            if turn and self.plan.seconds is not None and self._cost(part) > self._left():
                self._warn(f"--quick's time was spent in turn {turn + 1}, before {part.name}")
                return False
            for row in self._alive():
                if not self._step(row, part, turn):
                    self._warn(f"--quick's time was spent in turn {turn + 1}, in {part.name}")
                    return False
        return True

    def _step(self, row: Row, part: Part, turn: int) -> bool:
        """Measure one back end once, unless it is done; whether there was time for it."""
        step = f"turn {turn}: {part.name}"
        if self.journal.get(row.spec.id, step) is not None:
            return True
        if self.plan.seconds is not None and self._left() < 1.0:
            return False
        self._say(f"turn {turn + 1}, {part.name}: {row.spec.name}")
        start = time.monotonic()
        try:
            found = measure_part(self.bench, row.spec.id, row.running, part, turn, self._limit)
        except WorkerError as error:
            late = isinstance(error, WorkerTimeoutError) and self._left() <= 0
            if self.plan.seconds is not None and late:
                row.close()  # our budget is spent; what it did before stands
                return False
            self._fail(row, error)
            return True
        self._spent[row.spec.id, part.name] = time.monotonic() - start
        self.journal.put(row.spec.id, step, found)
        return True

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
                found = measure_memory(self.bench, row, self._limit, self._warn)
            except (WorkerError, OSError) as error:
                self._warn(f"{row.spec.name}: memory not measured: {error}")
                continue
            self.journal.put(row.spec.id, "memory", found)

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

    def _fail(self, row: Row, error: Exception) -> None:
        status = "timed_out" if isinstance(error, WorkerTimeoutError) else "failed"
        row.drop(status, " ".join(str(error).split()))
        self.journal.put(row.spec.id, "failed", {"status": status, "reason": row.reason})
        self._say(f"{row.spec.name}: {status.replace('_', ' ')}: {row.reason}")

    def _warn(self, line: str) -> None:
        self.warnings.append(line)
        self.journal.put(RUN, "warnings", self.warnings)
        self._say(f"warning: {line}")

    def _check_weights(self) -> None:
        checkpoint = self.subject.checkpoint
        if checkpoint is not None and weights_of(checkpoint)[0] != self.subject.weights_sha256:
            self._warn(f"{checkpoint}: the weights changed during the run; measure again")

    def _note_busy(self, turn: int) -> None:
        cores = self._busy.cores_busy()
        if cores is not None and cores > _BUSY:
            self._warn(
                f"before turn {turn + 1}, while all back ends waited, other processes kept "
                f"{cores:.1f} cores busy"
            )

    def _close_workers(self, *, at_once: bool = False) -> None:
        for row in self.rows:
            row.close(at_once=at_once)
        if self._roof is not None:
            self._roof.close(at_once=at_once)
            self._roof = None


def _read_into_page_cache(folder: Path) -> None:
    """Read the files once, so that no back end's load time pays for a cold disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
