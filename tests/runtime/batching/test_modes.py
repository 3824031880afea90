"""Latency and throughput mode: the same answers, each with its own use of the cores."""

from __future__ import annotations

import itertools
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import Bundle, pipeline
from leanbert.batching import GROUP, MAX_TOKENS
from leanbert.batching.grouping import FIRST
from leanbert.cpu import allowed_cores
from leanbert.errors import EngineError, InputError
from tests.helpers.processes import python
from tests.helpers.tiny_bundles import LABELS

MODES = ["latency", "throughput"]
TEXTS = [
    f"{('profit', 'a bad loss', 'the company')[i * i % 3]} {'year ' * (i % 20)}"
    for i in range(5000)
]
MANY = len(TEXTS)


def crew() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("leanbert")]


@pytest.fixture(scope="module")
def fast(tiny_bundle: Path) -> Any:
    return pipeline("text-classification", tiny_bundle, mode="throughput", threads=2)


@pytest.fixture(scope="module")
def wanted(classify: Any) -> list[Any]:
    found: list[Any] = classify(TEXTS)
    assert {answer["label"] for answer in found} == set(LABELS)
    return found


@pytest.fixture
def spy(fast: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that computed, a batch each."""
    names: list[str] = []
    run = fast.runner.engine.run

    def noted(inputs: Any) -> Any:
        names.append(threading.current_thread().name)
        return run(inputs)

    monkeypatch.setattr(fast.runner.engine, "run", noted)
    return names


def check(found: list[Any], wanted: list[Any]) -> None:
    assert [answer["label"] for answer in found] == [answer["label"] for answer in wanted]
    np.testing.assert_allclose(
        [answer["score"] for answer in found], [answer["score"] for answer in wanted], atol=1e-6
    )


def test_both_modes_give_the_same_answers(fast: Any, spy: list[str], wanted: list[Any]) -> None:
    check(fast(TEXTS), wanted)
    assert {name.rpartition("-")[0] for name in spy} == {"leanbert"}
    check(list(fast.stream(TEXTS)), wanted)
    check(list(fast(iter(TEXTS), batch_size=50)), wanted)
    assert fast([]) == []
    assert crew() == []


@pytest.mark.parametrize("mode", MODES)
def test_batches_keep_to_the_budget_of_the_mode(
    tiny_bundle: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = pipeline(model=tiny_bundle, mode=mode, threads=2)
    sizes: list[int] = []
    run = answerer.runner.engine.run

    def noted(inputs: Any) -> Any:
        sizes.append(len(inputs) * int(inputs.lengths.max()))
        return run(inputs)

    monkeypatch.setattr(answerer.runner.engine, "run", noted)
    answerer(TEXTS[:500])
    assert 0.9 * MAX_TOKENS[mode] < max(sizes) <= MAX_TOKENS[mode]


def test_a_text_or_a_small_batch_runs_on_the_caller(fast: Any, spy: list[str]) -> None:
    alone = fast("profit")
    assert alone[0]["label"] == "positive"
    assert fast(["profit", "a bad loss"])[1]["label"] == "negative"
    assert list(fast(iter(["profit"]))) == alone
    assert set(spy) == {threading.current_thread().name}


def test_embeddings_in_throughput_mode(tiny_features: Path, embed: Any) -> None:
    fast = pipeline(model=tiny_features, mode="throughput", threads=3)
    for options in ({"pooling": "mean"}, {"pooling": None}):
        found = fast(TEXTS[:300], return_tensors="np", **options)
        for one, other in zip(
            found, embed(TEXTS[:300], return_tensors="np", **options), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_threads_are_shared_out_by_the_mode(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    for mode, threads, workers in [
        ("latency", 3, 1),
        ("throughput", 3, 3),
        ("throughput", None, 0),
    ]:
        running = pipeline(model=bundle, mode=mode, threads=threads).runner
        assert running.workers == (workers or allowed_cores())
        intra = running.engine._session.get_session_options().intra_op_num_threads
        assert intra == (threads if mode == "latency" else 1)


@pytest.mark.parametrize("mode", ["fast", "", None, 3, "LATENCY"])
def test_a_mode_that_is_none(tiny_bundle: Path, mode: Any) -> None:
    with pytest.raises(InputError, match=r"mode is .*; expected one of latency, throughput"):
        pipeline(model=tiny_bundle, mode=mode)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, 5000])
@pytest.mark.parametrize("mode", MODES)
def test_threads_that_are_none(tiny_bundle: Path, mode: str, threads: Any) -> None:
    with pytest.raises(InputError, match="threads is"):
        pipeline(model=tiny_bundle, mode=mode, threads=threads)


def test_the_default_is_latency(classify: Any) -> None:
    assert classify.mode == "latency"
    assert classify.runner.workers == 1


@pytest.mark.parametrize("mode", MODES)
def test_pickling_keeps_the_mode(tiny_bundle: Path, mode: str) -> None:
    made = pipeline(model=tiny_bundle, mode=mode, threads=2, top_k=1)
    made(TEXTS[:500])
    again = pickle.loads(pickle.dumps(made))  # noqa: S301
    assert (again.mode, again.threads, again.defaults) == (mode, 2, {"top_k": 1})
    assert again.runner.workers == made.runner.workers
    assert again("profit") == made("profit")


def endless(drawn: list[int]) -> Iterator[str]:
    for i in itertools.count():
        drawn.append(i)
        yield TEXTS[i % MANY]


def test_at_most_two_groups_are_held(fast: Any, wanted: list[Any]) -> None:
    drawn: list[int] = []
    answers = fast(endless(drawn), max_wait_ms=None)
    assert drawn == []
    start = 0
    for size in (FIRST, GROUP, GROUP):  # the first group is small, so that computing begins soon
        check(
            list(itertools.islice(answers, 3)),
            [wanted[i % MANY] for i in range(start, start + 3)],
        )
        start += size
        assert len(drawn) == start + GROUP
        list(itertools.islice(answers, size - 3))
    answers.close()
    assert crew() == []


@pytest.mark.parametrize("leave", ["drop", "close", "error", "interrupt"])
def test_leaving_a_stream_half_way(fast: Any, leave: str) -> None:
    answers = fast.stream(endless([]), max_wait_ms=None)
    next(answers)
    assert crew()
    if leave == "drop":
        del answers
    elif leave == "close":
        answers.close()
    else:
        error = ValueError("mine") if leave == "error" else KeyboardInterrupt()

        def consume(answers: Iterator[Any]) -> None:
            for _ in answers:
                raise error

        # As in a script: the traceback holds the iterator as long as the error is handled.
        with pytest.raises(type(error)):
            consume(answers)
        del answers, error
    assert crew() == []
    assert fast("profit")[0]["label"] == "positive"


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_item_comes_after_the_groups_before(tiny_bundle: Path, mode: str) -> None:
    answerer = pipeline(model=tiny_bundle, mode=mode, threads=2)
    answers = answerer.stream([*TEXTS[: GROUP + 100], 5, *TEXTS])
    before = FIRST if mode == "throughput" else GROUP
    assert len(list(itertools.islice(answers, before))) == before
    with pytest.raises(InputError, match=f"^text {GROUP + 100}: expected"):
        next(answers)
    assert list(answers) == []
    assert crew() == []


@pytest.mark.parametrize("mode", MODES)
def test_an_engine_that_fails(
    tiny_bundle: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = pipeline(model=tiny_bundle, mode=mode, threads=2)
    run = answerer.runner.engine.run
    ran: list[int] = []

    def breaks(inputs: Any) -> Any:
        ran.append(len(inputs))
        if len(ran) == 3:
            raise EngineError("broken")
        return run(inputs)

    monkeypatch.setattr(answerer.runner.engine, "run", breaks)
    with pytest.raises(EngineError, match=r"^broken$"):
        answerer(TEXTS, deduplicate=False)
    assert len(ran) <= 5
    assert crew() == []
    assert answerer("profit")[0]["label"] == "positive"


def test_a_feed_that_calls_the_pipeline(fast: Any) -> None:
    def feed() -> Iterator[str]:
        for text in TEXTS[: GROUP + 50]:
            if len(text) == len("profit "):
                assert fast(TEXTS[:200])[0]["label"] == "positive"
            yield text

    assert len(list(fast(feed()))) == GROUP + 50


def test_calls_from_several_threads(fast: Any, wanted: list[Any]) -> None:
    found: dict[int, list[Any]] = {}

    def call(i: int) -> None:
        found[i] = fast(TEXTS[i * 500 :])

    callers = [threading.Thread(target=call, args=(i,)) for i in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    for i in range(5):
        check(found[i], wanted[i * 500 :])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("mode", MODES)
def test_a_forked_child_answers(tiny_bundle: Path, tmp_path: Path, mode: str) -> None:
    script = """
import os, signal, sys
from leanbert import pipeline
classify = pipeline(model=sys.argv[1], mode=sys.argv[2], threads=2)
texts = ["profit rose " * (i % 9) for i in range(3000)]
wanted = classify(texts)
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if classify(texts) == wanted and classify("profit") else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = python(["-W", "ignore::DeprecationWarning", "-c", script, tiny_bundle, mode], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="os.times counts this process on POSIX")
@pytest.mark.parametrize("mode", MODES)
def test_nothing_spins_after_a_call(tmp_path: Path, mode: str) -> None:
    """The CPU time of a process that sleeps after a call, not how long anything takes.

    A sleeping process is charged nothing, however busy the machine is: 0.00 s was measured. Let
    ONNX Runtime's threads spin on, and they are charged 0.11 s and more of 0.3. os.times counts
    in ticks of 0.01 s, so that the bound is five ticks from the one and more from the other.
    """
    script = """
import os, sys, time
from leanbert import pipeline
classify = pipeline(mode=sys.argv[1], threads=4)
texts = ["Operating profit rose to EUR 13.1 mn. " * (1 + i % 8) for i in range(64)]
for inputs in (texts, texts[7]):
    classify(inputs)
    before = os.times()
    time.sleep(0.3)
    after = os.times()
    print(after.user + after.system - before.user - before.system)
"""
    done = python(["-c", script, mode], tmp_path)
    assert done.returncode == 0, done.stderr
    used = [float(line) for line in done.stdout.split()]
    assert len(used) == 2
    assert max(used) < 0.05
