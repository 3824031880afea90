"""A whole run: prepare, load, take turns, and keep every step as it is done.

All back ends are loaded at once, each in a process of its own, and block while another one works.
A turn goes through what is measured, and for each part through the back ends: A B C, A B C. So
whatever else the machine does meets all of them alike, and ratios can be paired by turn. A back end
that fails loses its own row and nothing more.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert_bench.backends import REFERENCE, backend_class
from leanbert_bench.run.budget import Budget
from leanbert_bench.run.busy import cores_busy
from leanbert_bench.run.cold import cold_start
from leanbert_bench.run.loading import load, prepare
from leanbert_bench.run.memory import measure_memory
from leanbert_bench.run.participants import RUN, Bench, Participant, Spec, Subject, screen
from leanbert_bench.run.plan import Part, Plan, parts_of
from leanbert_bench.run.preparing import weights_of
from leanbert_bench.run.process import WorkerError, WorkerProcess, WorkerTimeoutError
from leanbert_bench.run.roof import MODULE as ROOF
from leanbert_bench.run.turns import measure_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leanbert_bench.run.journal import Journal
    from leanbert_bench.run.workload import Workload


_BUSY = 0.15  # cores
_LEAST_LEFT = 1.0  # seconds of a budget, below which no part begins
_ORDER_OF_QUICK = (
    REFERENCE, "leanbert-int8-native", "leanbert-int8-onnxruntime", "optimum-int8",
    "openvino-int8", "ctranslate2-int8", "pytorch-dynamic-int8", "transformers-pipeline",
)  # fmt: skip


class Run:
    """Measures; what it finds is in the journal and in :attr:`participants`.

    Args:
        plan: how much is measured.
        specs: the back ends, in the order of tables.
        subject: the model.
        workload: the texts.
        threads: the budget of each back end.
        cache: where what the back ends need is kept.
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
        self.participants = [Participant(spec, backend_class(spec.factory)) for spec in specs]
        self._budget = Budget(self.bench, begin)
        self._cache = cache
        self._say = say
        self._on_turn = on_turn
        self._spent: dict[tuple[str, str], float] = {}
        self._roof: WorkerProcess | None = None

    # --- before anything is measured

    def screen(self) -> None:
        """Find out which back ends cannot run here, and why."""
        for who in self.participants:
            failed = self.journal.get(who.spec.id, "failed")
            if failed:
                who.drop(**failed)
            else:
                screen(who, self.subject)

    def measure_roof(self, turn: int) -> dict[str, Any] | None:
        """Take one sample of the machine's limit, as :mod:`leanbert_bench.run.roof` measures it."""
        step = f"turn {turn}: roof"
        done = self.journal.get(RUN, step)
        if done is not None:
            return dict(done)
        self._say(f"turn {turn + 1}: the machine's limit")
        try:
            if self._roof is None:
                self._roof = WorkerProcess("", self.threads, ROOF)
                self._roof_facts = self._roof.ask("load", 120.0, threads=self.threads)
            found = self._roof.ask("measure", 120.0)
        except WorkerError as error:
            self._warn(f"the machine's limit could not be measured: {error}")
            return None
        return dict(self.journal.put(RUN, step, {**self._roof_facts, **found}))

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
        for who in self._in_order():
            if who.spec.bundle is not None:
                who.model = who.spec.bundle
                continue
            kept = self.journal.get(who.spec.id, "prepare")
            if kept is not None and Path(kept["model"]).exists():
                who.model = Path(kept["model"])
                continue
            self._say(f"prepare {who.spec.name}")
            try:
                found = prepare(self.bench, who, self._cache, self._budget)
            except (WorkerError, OSError) as error:
                self._fail(who, error)
                continue
            if found is None:
                who.drop(
                    "skipped",
                    "left out by --quick: preparing it takes too long; a full run makes and "
                    "keeps it",
                )
                continue
            who.model = Path(found["model"])
            self.journal.put(who.spec.id, "prepare", found)

    def _load_all(self) -> None:
        taken: list[Participant] = []
        for who in self._in_order():
            late = self._budget.too_late_for(who, taken)
            if late and who.spec.id != self.bench.reference:
                who.drop("skipped", "left out by --quick, whose time is spent; run without --quick")
                continue
            self._say(f"load {who.spec.name}")
            taken.append(who)
            try:
                load(self.bench, who, self._budget)
            except (WorkerError, OSError) as error:
                self._fail(who, error)

    def _cold_all(self) -> None:
        for i in range(self.plan.cold_starts):
            for who in self._in_order():
                if self.journal.get(who.spec.id, f"cold {i}") is not None:
                    continue
                if self._budget.too_late_for(who, self._alive()):
                    return
                self._say(f"cold start {i + 1}: {who.spec.name}")
                try:
                    found = cold_start(
                        who.spec.factory,
                        who.prepared,
                        self.subject.checkpoint,
                        self.subject.task,
                        self.threads,
                        self.workload.items[0],
                        self._budget.limit,
                    )
                except (WorkerError, OSError) as error:
                    self._warn(f"{who.spec.name}: {error}")
                    continue
                self.journal.put(who.spec.id, f"cold {i}", found)

    def _take_turn(self, turn: int) -> bool:
        """Measure every part once, and tell whether there was time for all of it."""
        self._note_busy(turn)
        if not self.plan.quick or turn == 0:
            self.measure_roof(turn)
        for part in parts_of(self.plan):
            if part.shape and not self.bench.has_grid:
                continue
            if turn and self._cost(part) > self._budget.left:
                self._warn(f"--quick's time was spent in turn {turn + 1}, before {part.name}")
                return False
            for who in self._alive():
                if part.shape and not who.kind.takes_ids:
                    continue
                if not self._step(who, part, turn):
                    self._warn(f"--quick's time was spent in turn {turn + 1}, in {part.name}")
                    return False
        return True

    def _step(self, who: Participant, part: Part, turn: int) -> bool:
        """Measure one back end once unless it is done, and tell whether there was time for it."""
        step = f"turn {turn}: {part.name}"
        if self.journal.get(who.spec.id, step) is not None:
            return True
        if self._budget.left < _LEAST_LEFT:
            return False
        self._say(f"turn {turn + 1}, {part.name}: {who.spec.name}")
        start = time.monotonic()
        try:
            found = measure_part(
                self.bench, who.spec.id, who.running, part, turn, self._budget.limit
            )
        except WorkerError as error:
            if isinstance(error, WorkerTimeoutError) and self._budget.left <= 0:
                who.close()  # our budget is spent; what it did before stands
                return False
            self._fail(who, error)
            return True
        self._spent[who.spec.id, part.name] = time.monotonic() - start
        self.journal.put(who.spec.id, step, found)
        return True

    def _peaks(self) -> None:
        """Read the peaks of the processes that took turns, for runs that measure no fresh one."""
        for who in self._alive():
            if who.worker is not None and self.journal.get(who.spec.id, "peak") is None:
                with suppress(WorkerError):
                    found = who.worker.ask("memory", self._budget.limit)
                    self.journal.put(who.spec.id, "peak", found["peak_mib"])

    def _memory_all(self) -> None:
        """Measure resident memory over many texts, in fresh processes that do nothing else."""
        if not self.plan.memory_counts or self.workload.questions is not None:
            return
        for who in self._in_order():
            if self.journal.get(who.spec.id, "memory") is not None:
                continue
            self._say(f"memory: {who.spec.name}")
            try:
                found = measure_memory(self.bench, who, self._budget.limit, self._warn)
            except (WorkerError, OSError) as error:
                self._warn(f"{who.spec.name}: memory not measured: {error}")
                continue
            self.journal.put(who.spec.id, "memory", found)

    # --- helpers

    def _cost(self, part: Part) -> float:
        """Return the seconds that a part took all back ends together the last time."""
        return sum(self._spent.get((who.spec.id, part.name), 0.0) for who in self._alive())

    def _alive(self) -> list[Participant]:
        return [who for who in self.participants if who.status == "ok"]

    def _in_order(self) -> list[Participant]:
        """Order who is left as in tables; with a budget, what matters most comes first."""
        rows = self._alive()
        if not self.plan.quick:
            return rows
        place = {id_: i for i, id_ in enumerate(_ORDER_OF_QUICK)}
        given = [who for who in rows if who.spec.bundle is not None]
        rest = [who for who in rows if who.spec.bundle is None]
        rest.sort(key=lambda who: place.get(who.spec.id, len(place)))
        return [*rest[:1], *given, *rest[1:]]

    def _fail(self, who: Participant, error: Exception) -> None:
        status = "timed_out" if isinstance(error, WorkerTimeoutError) else "failed"
        who.drop(status, " ".join(str(error).split()))
        self.journal.put(who.spec.id, "failed", {"status": status, "reason": who.reason})
        self._say(f"{who.spec.name}: {status.replace('_', ' ')}: {who.reason}")

    def _warn(self, line: str) -> None:
        self.warnings.append(line)
        self.journal.put(RUN, "warnings", self.warnings)
        self._say(f"warning: {line}")

    def _check_weights(self) -> None:
        checkpoint = self.subject.checkpoint
        if checkpoint is not None and weights_of(checkpoint)[0] != self.subject.weights_sha256:
            self._warn(f"{checkpoint}: the weights changed during the run; measure again")

    def _note_busy(self, turn: int) -> None:
        cores = cores_busy()
        if cores is not None and cores > _BUSY:
            self._warn(
                f"before turn {turn + 1}, while all back ends waited, other processes kept "
                f"{cores:.1f} cores busy"
            )

    def _close_workers(self, *, at_once: bool = False) -> None:
        for who in self.participants:
            who.close(at_once=at_once)
        if self._roof is not None:
            self._roof.close(at_once=at_once)
            self._roof = None
