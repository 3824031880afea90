"""A whole run: prepare, load, take turns, and keep every step as it is done.

All back ends are loaded at once, each in a process of its own, and block while another one is at
work. A turn goes through what is measured, and for each thing through the back ends: A B C, A B C.
So whatever else the machine does meets all of them alike, and ratios can be paired by turn. A back
end that fails loses its own who and nothing more.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert_bench.backends import REFERENCE, backend_class
from leanbert_bench.run.answering import collect_answers
from leanbert_bench.run.busy import cores_busy
from leanbert_bench.run.cold import cold_start
from leanbert_bench.run.memory import measure_memory
from leanbert_bench.run.participants import (
    RUN,
    Bench,
    Participant,
    Spec,
    Subject,
    ask_to_load,
    screen,
)
from leanbert_bench.run.plan import Part, Plan, Speed, guessed_peaks, parts_of, turn_seconds
from leanbert_bench.run.preparing import weights_of
from leanbert_bench.run.process import WorkerError, WorkerProcess, WorkerTimeoutError
from leanbert_bench.run.roof import MODULE as ROOF
from leanbert_bench.run.turns import measure_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leanbert_bench.run.journal import Journal
    from leanbert_bench.run.workload import Workload

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
        self.participants = [Participant(spec, backend_class(spec.factory)) for spec in specs]
        self._cache = cache
        self._say = say
        self._on_turn = on_turn
        self._begin = time.monotonic() if begin is None else begin
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
        """One sample of the machine's limit, as :mod:`leanbert_bench.run.roof` finds it."""
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
                found = self._prepare(who)
                if found is None:
                    who.drop(
                        "skipped",
                        "left out by --quick: preparing it takes too long; a full run makes and "
                        "keeps it",
                    )
                    continue
            except (WorkerError, OSError) as error:
                self._fail(who, error)
                continue
            who.model = Path(found["model"])
            self.journal.put(who.spec.id, "prepare", found)

    def _prepare(self, who: Participant) -> dict[str, Any] | None:
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
            with WorkerProcess(who.spec.factory, self.threads) as worker:
                found = worker.ask("prepare", limit, only_cached=True, **arguments)
            if found["model"] is not None:
                return found
            left = _QUICK_PREPARE * self.plan.seconds - self._elapsed()
            expected = self.expected_preparation(who)
            if expected > left:
                return None
            limit = min(left + _LAST, max(20.0, 3 * expected))
        try:
            with WorkerProcess(who.spec.factory, self.threads) as worker:
                return worker.ask("prepare", limit, only_cached=False, **arguments)
        except WorkerTimeoutError:
            if self.plan.quick:
                return None
            raise

    def expected_preparation(self, who: Participant) -> float:
        """Seconds, if nothing is in the cache: by the size of the weights."""
        kind, random = who.kind, self.subject.random_weights is not None
        seconds = kind.seconds_if_random if random else None
        seconds = kind.seconds_to_prepare if seconds is None else seconds
        return max(3.0, seconds * self.subject.bytes / 440e6) if seconds else 0.0

    def _load_all(self) -> None:
        taken: list[Participant] = []
        for who in self._in_order():
            if who.spec.id != self.bench.reference and self._too_late(who, taken):
                who.drop("skipped", "left out by --quick, whose time is spent; run without --quick")
                continue
            self._say(f"load {who.spec.name}")
            taken.append(who)
            try:
                self._load(who)
            except (WorkerError, OSError) as error:
                self._fail(who, error)

    def _too_late(self, who: Participant, taken: Sequence[Participant]) -> bool:
        """Whether to load this one would leave no time for a turn of all that are taken."""
        if self.plan.seconds is None:
            return False
        speed, all_ = self.speed(), {one.spec.id: one for one in (*taken, who)}
        turn = sum(turn_seconds(self.plan, speed, one.spec.precision) for one in all_.values())
        return self._elapsed() + who.kind.seconds_to_load + turn + _LAST > self.plan.seconds

    def speed(self, peaks: Mapping[str, float] | None = None) -> Speed:
        """What estimates suppose; ``peaks`` in operations a second, if measured."""
        words = sorted(len(text.split()) for text in self.workload.texts)
        return Speed(
            self.subject.config.raw,
            _TOKENS_OF_A_WORD * words[len(words) // 2] + 2,
            peaks or guessed_peaks(self.threads),
        )

    def _load(self, who: Participant) -> None:
        id_ = who.spec.id
        who.worker = WorkerProcess(who.spec.factory, self.threads)
        _read_into_page_cache(who.prepared)
        reply = ask_to_load(self.bench, who, who.worker, self._limit)
        if self.journal.get(id_, "load") is None:
            self.journal.put(id_, "load", reply)
        if self.journal.get(RUN, "lengths") is None and self.workload.questions is None:
            texts = self.workload.texts[:2000]
            found = who.worker.ask("lengths", self._limit, texts=texts)
            self.journal.put(RUN, "lengths", found["lengths"])
        collect_answers(self.bench, id_, who.worker, self._limit)

    def _cold_all(self) -> None:
        for i in range(self.plan.cold_starts):
            for who in self._in_order():
                if self.journal.get(who.spec.id, f"cold {i}") is not None:
                    continue
                if self._too_late(who, self._alive()):
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
                        self._limit,
                    )
                except (WorkerError, OSError) as error:
                    self._warn(f"{who.spec.name}: {error}")
                    continue
                self.journal.put(who.spec.id, f"cold {i}", found)

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
            for who in self._alive():
                if not self._step(who, part, turn):
                    self._warn(f"--quick's time was spent in turn {turn + 1}, in {part.name}")
                    return False
        return True

    def _step(self, who: Participant, part: Part, turn: int) -> bool:
        """Measure one back end once, unless it is done; whether there was time for it."""
        step = f"turn {turn}: {part.name}"
        if self.journal.get(who.spec.id, step) is not None:
            return True
        if self.plan.seconds is not None and self._left() < 1.0:
            return False
        self._say(f"turn {turn + 1}, {part.name}: {who.spec.name}")
        start = time.monotonic()
        try:
            found = measure_part(self.bench, who.spec.id, who.running, part, turn, self._limit)
        except WorkerError as error:
            late = isinstance(error, WorkerTimeoutError) and self._left() <= 0
            if self.plan.seconds is not None and late:
                who.close()  # our budget is spent; what it did before stands
                return False
            self._fail(who, error)
            return True
        self._spent[who.spec.id, part.name] = time.monotonic() - start
        self.journal.put(who.spec.id, step, found)
        return True

    def _peaks(self) -> None:
        """Of the processes that took turns: what stands if no fresh one is measured."""
        for who in self._alive():
            if who.worker is not None and self.journal.get(who.spec.id, "peak") is None:
                with suppress(WorkerError):
                    found = who.worker.ask("memory", self._limit)
                    self.journal.put(who.spec.id, "peak", found["peak_mib"])

    def _memory_all(self) -> None:
        """Resident memory over many texts, in a fresh process that does nothing else."""
        if not self.plan.memory_counts or self.workload.questions is not None:
            return
        for who in self._in_order():
            if self.journal.get(who.spec.id, "memory") is not None:
                continue
            self._say(f"memory: {who.spec.name}")
            try:
                found = measure_memory(self.bench, who, self._limit, self._warn)
            except (WorkerError, OSError) as error:
                self._warn(f"{who.spec.name}: memory not measured: {error}")
                continue
            self.journal.put(who.spec.id, "memory", found)

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
        return sum(self._spent.get((who.spec.id, part.name), 0.0) for who in self._alive())

    def _alive(self) -> list[Participant]:
        return [who for who in self.participants if who.status == "ok"]

    def _in_order(self) -> list[Participant]:
        """As in tables; with a budget what matters most comes first."""
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


def _read_into_page_cache(folder: Path) -> None:
    """Read the files once, so that no back end's load time pays for a cold disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
