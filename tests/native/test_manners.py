"""How the native engine's threads behave: idle, woken, forked, called by many."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.native_library import Encoder, describe, load_probe
from tests.helpers.native_models import I32, random_model, random_texts

HEAD: dict[str, Any] = {"head": "first_token", "head_dense": True, "head_activation": "tanh"}


def tasks() -> set[int]:
    """Thread ids of this process."""
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def current_core() -> int:
    """The core that the calling thread runs on: field 39 of its stat."""
    stat = Path("/proc/thread-self/stat").read_text(encoding="ascii")
    return int(stat.rpartition(")")[2].split()[36])


def test_threads_are_made_once_and_end_with_the_handle() -> None:
    encoder = Encoder(describe(random_model(1), threads=3))
    before = tasks()
    texts = random_texts(np.random.default_rng(1), [40, 60, 80])
    encoder.run(texts)
    workers = tasks() - before
    assert len(workers) == 2
    encoder.run(texts)
    assert tasks() - before == workers
    encoder.close()
    deadline = time.monotonic() + 10
    while tasks() & workers and time.monotonic() < deadline:  # joined; the kernel may be behind
        time.sleep(0.001)
    assert not tasks() & workers


def test_idle_after_a_call() -> None:
    encoder = Encoder(describe(random_model(1), threads=4))
    for _ in range(3):
        encoder.run(random_texts(np.random.default_rng(1), [40, 60, 80]))
    time.sleep(0.05)
    before = time.process_time()  # of all threads; one that spins takes all of the wait
    time.sleep(0.2)
    assert time.process_time() - before < 0.02


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_sleeping_worker_is_woken_off_the_callers_core() -> None:
    if not load_probe().probe_places_threads():
        pytest.skip("this library leaves the placement of threads to the system")
    before = tasks()
    encoder = Encoder(describe(random_model(1), threads=2))
    texts = random_texts(np.random.default_rng(1), [40, 60])
    encoder.run(texts)
    (worker,) = tasks() - before
    for _ in range(50):
        time.sleep(0.02)  # it sleeps again
        core = current_core()
        encoder.run(texts)
        allowed = os.sched_getaffinity(worker)
        if current_core() == core:  # the caller may have been moved meanwhile: then again
            assert core not in allowed
            assert allowed <= os.sched_getaffinity(0)
            return
    pytest.skip("the caller was moved during every call")


def test_a_caller_held_to_one_core_is_answered() -> None:
    cores = os.sched_getaffinity(0)
    encoder = Encoder(describe(random_model(1), threads=2))
    texts = random_texts(np.random.default_rng(1), [40, 60])
    expected = [answer.tobytes() for answer in encoder.run(texts)]
    os.sched_setaffinity(0, {min(cores)})  # of this thread alone
    try:
        time.sleep(0.02)  # the worker sleeps, and there is no other core to send it to
        assert [answer.tobytes() for answer in encoder.run(texts)] == expected
    finally:
        os.sched_setaffinity(0, cores)
    assert [answer.tobytes() for answer in encoder.run(texts)] == expected


@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""),
    reason="the address sanitizer's allocator is not prepared for a fork amid threads",
)
def test_forks_amid_calls() -> None:
    """Children are forked while other threads compute, and fork again; all answer alike.

    The first calls of the other threads make them replace their memory: what was half done during
    the fork must not be undone twice in the child.
    """
    texts = random_texts(np.random.default_rng(2), [7, 30, 120])
    for seed in range(4):
        encoder = Encoder(describe(random_model(seed, **HEAD), threads=2))
        expected = [answer.tobytes() for answer in encoder.run(texts)]
        stop = threading.Event()

        def call(
            encoder: Encoder = encoder, stop: threading.Event = stop, seed: int = seed
        ) -> None:
            rng = np.random.default_rng(seed)
            while not stop.is_set():
                encoder.run(random_texts(rng, [int(rng.integers(1, 300))]))

        callers = [threading.Thread(target=call) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            for _ in range(3):
                child = os.fork()
                if child == 0:  # pragma: no cover - in the child
                    os._exit(0 if _child_is_right(encoder, texts, expected, again=True) else 1)
                assert os.waitpid(child, 0)[1] == 0
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        assert [answer.tobytes() for answer in encoder.run(texts)] == expected


def _child_is_right(
    encoder: Encoder, texts: list[I32], expected: list[bytes], *, again: bool
) -> bool:  # pragma: no cover - in the child
    good = all([a.tobytes() for a in encoder.run(texts)] == expected for _ in range(3))
    if again:
        child = os.fork()
        if child == 0:
            os._exit(0 if _child_is_right(encoder, texts, expected, again=False) else 1)
        good = good and os.waitpid(child, 0)[1] == 0
    encoder.close()
    return good
