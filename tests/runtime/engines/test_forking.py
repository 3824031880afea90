"""A forked child answers with a session of its own, or says at once why it cannot; none hangs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers.processes import python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Each child ends as scripts do, with everything freed that is not leaked, and must do so in time.
FORKS = """
import os, sys, threading, time
from leanbert import LeanBertError, pipeline
path, mode, busy, number = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
classify = pipeline("text-classification", path, engine="onnxruntime", threads=2, mode=mode)
texts = ["profit rose " * (1 + i % 6) for i in range(20)]
wanted = [answer["label"] for answer in classify(texts)]
stop = threading.Event()

def call():
    while not stop.is_set():
        classify(texts)

callers = [threading.Thread(target=call) for _ in range(busy)]
for caller in callers:
    caller.start()
statuses = []
for _ in range(number):
    child = os.fork()
    if child == 0:
        same = [answer["label"] for answer in classify(texts)] == wanted
        same &= classify(texts[3])[0]["label"] == wanted[3]
        sys.exit(0 if same else 3)
    deadline = time.monotonic() + 60
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, 9)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    statuses.append(ended[1])
stop.set()
for caller in callers:
    caller.join()
assert [answer["label"] for answer in classify(texts)] == wanted
print("statuses:", statuses)
"""


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_children_of_a_parent_that_used_its_session_answer_and_end(
    tiny_bundle: Path, tmp_path: Path, mode: str
) -> None:
    done = python(["-c", FORKS, tiny_bundle, mode, 0, 4], tmp_path)
    assert done.stdout == "statuses: [0, 0, 0, 0]\n", done.stderr


@pytest.mark.slow
def test_children_that_are_forked_amid_calls_answer_and_end(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    done = python(["-c", FORKS, tiny_bundle, "latency", 3, 12], tmp_path)
    assert done.stdout == f"statuses: {[0] * 12}\n", done.stderr


def test_a_child_whose_bundle_has_gone_says_so_at_once(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    script = """
import os, shutil, sys
from leanbert import LeanBertError, pipeline
classify = pipeline("text-classification", sys.argv[1], engine="onnxruntime", threads=2)
classify("profit rose")
shutil.rmtree(sys.argv[1])
child = os.fork()
if child == 0:
    try:
        classify("profit rose")
    except LeanBertError as error:
        sys.exit(7 if "\\n" not in str(error) else 8)
    sys.exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), classify("profit rose")[0]["label"])
"""
    done = python(["-c", script, copy], tmp_path)
    assert done.stdout == "7 positive\n", done.stderr
