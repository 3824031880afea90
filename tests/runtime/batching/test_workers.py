"""Groups of jobs on threads: order, laziness, errors, and no thread left behind."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanbert.batching.workers import in_order
from leanbert.errors import EngineError
from tests.helpers.processes import python

LONG = 30  # seconds; what takes longer hangs


def crew() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("leanbert")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert crew() == []
    yield
    assert crew() == []


def answer(value: Any) -> Callable[[], Any]:
    return lambda: value


def fail(error: BaseException) -> Callable[[], Any]:
    def job() -> Any:
        raise error

    return job


@given(st.lists(st.lists(st.integers(), max_size=9), max_size=6), st.integers(1, 4))
@settings(max_examples=60)
def test_results_come_in_order(groups: list[list[int]], workers: int) -> None:
    jobs = ([answer(value) for value in group] for group in groups)
    assert list(in_order(jobs, workers)) == groups


def test_slow_jobs_keep_their_place() -> None:
    first = threading.Event()

    def waits() -> str:
        assert first.wait(LONG)
        return "slow"

    def sets() -> str:
        first.set()
        return "quick"

    assert list(in_order([[waits, sets], [answer(3)]], 2)) == [["slow", "quick"], [3]]


@pytest.mark.parametrize("workers", [2, 3])
def test_as_many_jobs_at_once_as_workers(workers: int) -> None:
    together = threading.Barrier(workers, timeout=LONG)
    names: set[str] = set()

    def job() -> None:
        names.add(threading.current_thread().name)
        together.wait()  # passes only if all workers are in here

    assert list(in_order([[job] * workers] * 3, workers)) == [[None] * workers] * 3
    assert names == {f"leanbert-{i}" for i in range(workers)}


def test_never_more_threads_than_workers_or_jobs() -> None:
    running: list[int] = []
    jobs = [lambda: running.append(len(crew()))] * 3
    list(in_order([jobs], 2))
    list(in_order([jobs], 8))
    assert max(running[:3]) <= 2
    assert max(running) <= 3


def test_one_worker_or_one_job_needs_no_thread() -> None:
    me = threading.current_thread()
    assert list(in_order([[threading.current_thread] * 3] * 2, 1)) == [[me] * 3] * 2
    assert list(in_order([[threading.current_thread]], 4)) == [[me]]
    assert list(in_order([], 4)) == []


@pytest.mark.parametrize(("workers", "ahead"), [(1, 0), (3, 1)])
def test_at_most_one_group_is_drawn_ahead(workers: int, ahead: int) -> None:
    drawn = 0

    def groups() -> Iterator[list[Callable[[], int]]]:
        nonlocal drawn
        assert threading.current_thread() is threading.main_thread()
        for i in range(20):
            drawn += 1
            yield [answer(i), answer(-i)]

    results = in_order(groups(), workers)
    assert drawn == 0
    for i in range(10):
        assert next(results) == [i, -i]
        assert drawn == i + 1 + ahead
    results.close()


def test_the_next_group_is_drawn_while_this_one_runs() -> None:
    drawn = threading.Event()

    def groups() -> Iterator[list[Callable[[], Any]]]:
        yield [lambda: drawn.wait(LONG)] * 2
        drawn.set()
        yield [answer(1)] * 2

    assert list(in_order(groups(), 2)) == [[True, True], [1, 1]]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_an_error_of_a_job_comes_once_after_the_groups_before(workers: int) -> None:
    ran: list[int] = []
    after = [[lambda: ran.append(1)] * 50] * 3
    jobs = [[answer(1)] * 4, [answer(2), fail(EngineError("broken")), *after[0]], *after]
    results = in_order(jobs, workers)
    assert next(results) == [1] * 4
    with pytest.raises(EngineError, match="broken") as caught:
        next(results)
    assert crew() == []
    assert len(ran) < 200  # the rest was dropped
    assert list(results) == []
    assert caught.value.__context__ is None


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_the_source_waits_for_its_turn(workers: int) -> None:
    def groups() -> Iterator[list[Callable[[], int]]]:
        yield [answer(1), answer(2)]
        yield [answer(3)]
        raise ValueError("no more")

    results = in_order(groups(), workers)
    assert [next(results), next(results)] == [[1, 2], [3]]
    with pytest.raises(ValueError, match="no more"):
        next(results)
    assert list(results) == []


def test_an_exit_in_a_worker_reaches_the_caller() -> None:
    with pytest.raises(SystemExit):
        list(in_order([[answer(1), fail(SystemExit(3)), answer(2)]], 2))


@pytest.mark.parametrize("how", ["close", "drop", "interrupt"])
def test_leaving_half_way_ends_the_threads(how: str) -> None:
    ran: list[int] = []

    def job() -> None:
        ran.append(1)

    results = in_order(([job] * 4 for _ in range(1000)), 2)
    next(results)
    assert crew()
    if how == "close":
        results.close()
    elif how == "drop":
        del results
        gc.collect()
    else:
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt)
    assert crew() == []
    assert len(ran) <= 8


@pytest.fixture
def interrupts_raise() -> Iterator[None]:
    """Python's own action on Ctrl-C, which a process in the background starts without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts_raise")
def test_an_interrupt_while_waiting_ends_the_threads() -> None:
    import _thread

    go = threading.Event()
    dropped: list[int] = []

    def interrupts() -> None:
        _thread.interrupt_main()
        assert go.wait(LONG)

    def groups() -> Iterator[list[Callable[[], Any]]]:
        yield [interrupts, lambda: go.wait(LONG), lambda: dropped.append(1)]

    results = in_order(groups(), 2)
    timer = threading.Timer(0.3, go.set)  # the threads end with the jobs that they are in
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(results)
    finally:
        timer.join()
    assert crew() == []
    assert dropped == []


def test_an_idle_crew_sleeps_and_keeps_no_job_alive() -> None:
    class Text:
        pass

    alive: list[Any] = []

    def groups() -> Iterator[list[Callable[[], int]]]:
        import weakref

        for i in range(3):
            text = Text()
            alive.append(weakref.ref(text))
            yield [lambda text=text, i=i: i] * 2  # type: ignore[misc]
            del text

    results = in_order(groups(), 2)
    assert next(results) == [0, 0]
    deadline = time.monotonic() + LONG
    while alive[0]() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive[0]() is None
    results.close()


def test_calls_from_several_threads_and_one_inside_another() -> None:
    found: dict[int, list[list[int]]] = {}

    def inner(i: int) -> list[list[int]]:
        return list(in_order([[answer(i), answer(-i)]] * 2, 2))

    def call(number: int) -> None:
        groups = ([answer(x) for row in inner(i) for x in row] for i in range(number, number + 5))
        found[number] = list(in_order(groups, 3))

    callers = [threading.Thread(target=call, args=(100 * i,)) for i in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(LONG)
    assert found == {
        100 * i: [[n, -n, n, -n] for n in range(100 * i, 100 * i + 5)] for i in range(6)
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork(tmp_path: Path) -> None:
    script = """
import os, signal
from leanbert.errors import EngineError
from leanbert.batching.workers import in_order
begun = in_order(([lambda i=i: i] * 3 for i in range(9)), 2)
assert next(begun) == [0, 0, 0]
child = os.fork()
if child == 0:
    signal.alarm(20)
    assert list(in_order([[lambda: 7] * 3] * 3, 2)) == [[7] * 3] * 3
    try:
        list(begun)
    except EngineError as error:
        assert "before a fork" in str(error)
        begun.close()
        os._exit(5)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
assert list(begun) == [[i] * 3 for i in range(1, 9)]
print("done")
"""
    done = python(["-W", "ignore::DeprecationWarning", "-c", script], tmp_path)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_the_interpreter_ends_with_an_iterator_open(tmp_path: Path) -> None:
    """Jobs that run are waited for, those that are queued are dropped."""
    script = """
import time
from leanbert.batching.workers import in_order
def job():
    time.sleep(0.05)
    return 1
kept = in_order(([job] * 2000 if i else [job] * 2 for i in range(3)), 2)
print(next(kept))
"""
    start = time.monotonic()
    done = python(["-c", script], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 1]\n", "")
    assert time.monotonic() - start < LONG  # all jobs would take 100 seconds
