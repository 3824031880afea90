"""The interpreter ends while daemon threads compute: without a core dump, and soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.processes import python

LEAVE = """
import sys, threading, time
from leanbert import pipeline
path, engine, mode = sys.argv[1:]
classify = pipeline("text-classification", path, engine=engine, mode=mode, threads=2)
texts = ["profit rose " * (1 + i % 9) for i in range(300)]
begun = threading.Barrier(4)

def call():
    classify(texts[0])
    begun.wait()
    while True:
        classify(texts)
        classify(texts[1])

for _ in range(3):
    threading.Thread(target=call, daemon=True).start()
begun.wait()
time.sleep(0.05)
print("left", flush=True)
"""


@pytest.mark.parametrize("mode", ["latency", "throughput"])
@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_daemon_threads_that_compute_end_with_the_process(
    tiny_bundle: Path, tmp_path: Path, engine: str, mode: str
) -> None:
    for _ in range(3):
        done = python(["-c", LEAVE, tiny_bundle, engine, mode], tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


def test_exit_handlers_of_others_may_still_call(tiny_bundle: Path, tmp_path: Path) -> None:
    """Those of the main thread, before and after LeanBERT's own."""
    script = """
import atexit, sys
atexit.register(lambda: print("last:", classify("profit rose")[0]["label"]))
from leanbert import pipeline
classify = pipeline("text-classification", sys.argv[1], threads=1)
atexit.register(lambda: print("first:", classify(["profit rose", "a loss"])[0]["label"]))
"""
    done = python(["-c", script, tiny_bundle], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "first: positive\nlast: positive\n"
