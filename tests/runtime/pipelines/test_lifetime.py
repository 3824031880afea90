"""A pipeline is closed safely whatever other threads do; its memory goes back to the system."""

from __future__ import annotations

import gc
import pickle
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import EngineError, InputError
from tests.helpers import native_bundles
from tests.helpers.processes import python

ENGINES = ("native", "onnxruntime")


@pytest.fixture(scope="module", params=ENGINES)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a pipeline on the engine."""
    folder = native_bundles.build(tmp_path_factory.mktemp("bundles") / "native")
    return lambda **options: pipeline(
        "text-classification", folder, engine=request.param, threads=1, **options
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda closed: closed("profit rose"),
        lambda closed: closed([]),
        lambda closed: closed(["profit rose", "sales fell"]),
        lambda closed: list(closed.stream(["profit rose"])),
        lambda closed: closed.document("Profit rose. Sales fell."),
        lambda closed: closed.predict(["profit rose"]),
        lambda closed: closed.warm_up(),
        lambda closed: closed.engine_report,
        lambda closed: closed.tokenizer,
    ],
)
def test_a_closed_pipeline_refuses_in_one_line(
    opened: Callable[..., Any], use: Callable[[Any], object]
) -> None:
    classify = opened()
    classify("profit rose")
    classify.close()
    classify.close()  # nothing is left to do
    with pytest.raises(EngineError, match=r"^this pipeline is closed; open another one with .*$"):
        use(classify)


def test_a_with_block_closes_after_an_error_too(opened: Callable[..., Any]) -> None:
    with opened() as classify:
        assert not classify.closed
        assert classify("profit rose")[0]["label"]
    assert classify.closed
    with pytest.raises(KeyError), opened() as other:
        raise KeyError
    assert other.closed


def test_a_stream_that_was_begun_ends_with_the_line(opened: Callable[..., Any]) -> None:
    classify = opened()
    answers = classify.stream(f"profit rose {i}" for i in range(10_000))
    assert next(answers)["label"]
    classify.close()
    with pytest.raises(EngineError, match="closed"):
        for _ in answers:
            pass


def test_the_model_and_the_tokenizer_are_freed(opened: Callable[..., Any]) -> None:
    classify = opened()
    runner = classify.runner
    engine = weakref.ref(runner.engine._handle if runner.engine.name == "native" else runner.engine)
    tokenizer = weakref.ref(runner.tokenizer)
    del runner
    classify.close()
    gc.collect()
    assert engine() is None
    assert tokenizer() is None


def test_a_copy_of_a_closed_pipeline_is_open(opened: Callable[..., Any]) -> None:
    classify = opened(top_k=None)
    expected = classify("profit rose")
    classify.close()
    copy = pickle.loads(pickle.dumps(classify))  # noqa: S301 - our own bytes
    assert copy("profit rose") == expected


def test_warming_up_computes_and_changes_no_answer(opened: Callable[..., Any]) -> None:
    classify = opened()
    expected = classify("profit rose")
    for tokens in (1, 2, 40, 100_000):
        classify.warm_up(tokens)
    assert classify("profit rose") == expected
    with pytest.raises(InputError, match="tokens is 0"):
        classify.warm_up(0)


AMID_CALLS = """
import os, sys, threading, time
from leanbert import LeanBertError, pipeline
path, engine, mode = sys.argv[1:]

def threads():
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 0

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

texts = [f"profit rose {i} " * (1 + i % 30) for i in range(200)]
for turn in range(8):
    classify = pipeline("text-classification", path, engine=engine, threads=2, mode=mode)
    classify(texts[:2])
    begun, ended = threading.Semaphore(0), []

    def call():
        try:
            begun.release()
            while True:
                classify(texts)
        except LeanBertError as error:
            ended.append(str(error))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
        begun.acquire()
    time.sleep(0.003 * turn)
    classify.close()
    for caller in callers:
        caller.join(60)
    assert len(ended) == 3, ended
    assert all(line.startswith("this pipeline is closed") for line in ended), ended
    if turn == 1:
        before = threads(), resident()
for _ in range(500):  # the kernel lists a thread for a moment after it was joined
    if threads() <= before[0]:
        break
    time.sleep(0.01)
assert threads() <= before[0], ("threads stayed", threads(), before[0])
assert resident() < before[1] + 20, "memory stayed"
print("closed")
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_closing_amid_calls_of_other_threads(engine: str, mode: str, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    folder = native_bundles.build(tmp_path / "native")
    done = python(["-c", AMID_CALLS, folder, engine, mode], tmp_path)
    assert done.stdout == "closed\n", done.stderr


GIVEN_BACK = """
import os, sys
from leanbert import pipeline
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
pipeline("text-classification", engine=sys.argv[1], threads=1).close()  # modules are there now
before = resident()
with pipeline("text-classification", engine=sys.argv[1], threads=1) as classify:
    classify(["profit rose " * 500] * 20, truncation=True)
    grown = resident() - before
print(grown, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_memory_of_the_embedded_model_goes_back_to_the_system(
    engine: str, tmp_path: Path
) -> None:
    done = python(["-c", GIVEN_BACK, engine], tmp_path)
    assert done.returncode == 0, done.stderr
    grown, left = map(float, done.stdout.split())
    assert grown > 15  # MiB: the weights alone are 9
    assert left < 0.35 * grown, done.stdout
