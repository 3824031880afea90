"""``max_memory_mb`` is kept: peaks of resident memory over hostile lengths, each in a process."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.engines import Batch
from leanbert.errors import InputError
from tests.helpers import native_bundles
from tests.helpers.command import Command
from tests.helpers.processes import python
from tests.runtime.cli.test_trial import hostile

# Older ones keep one allocator for a whole process, and say so where a second one is asked for.
several = pytest.mark.skipif(
    tuple(map(int, version("onnxruntime").split(".")[:2])) < (1, 24),
    reason="this onnxruntime keeps one ceiling per process",
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PEAK = """
import random, sys, threading
def memory(key):
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
before = memory("VmRSS")
from leanbert import LeanBertError, pipeline
"""

# Where a text is long, it is tokens, characters without tokens, or one word.
LENGTHS = """
engine, mode, ceiling = sys.argv[1:]
lengths = random.Random(3)
texts = [
    "", "a", "profit " * 3, ". " * 5000, "\\u4e2d\\u6587" * 9000, "word " * 100_000, "x" * 500_000,
    "\\u0301" * 3000, "a\\u0301 " * 50_000, "[SEP] " * 3000, "\\U0001f600 " * 20_000, " " * 500_000,
]
classify = pipeline(
    "text-classification", engine=engine, mode=mode, threads=2, max_memory_mb=int(ceiling)
)
assert classify.engine_report.engine == engine
classify(texts, truncation=True)
classify([f"{i} . " * 3000 for i in range(8)], truncation=True)
mixed = [f"profit {i} rose " * lengths.randint(1, 120) for i in range(24)]
answers = classify(mixed, truncation=True)
for _ in classify.stream((f"{i} " * 300_000 for i in range(8)), truncation=True):
    pass
for text in ("Profit rose by one. " * 60, "Profit rose by one. " * 30_000):
    for split in ("sentences", "windows"):
        try:
            assert classify.document(text, split=split)[split]
        except LeanBertError as error:
            assert "more memory than max_memory_mb=" in str(error), error
callers = [threading.Thread(target=classify, args=(mixed[:6],), kwargs={"truncation": True})
           for _ in range(4)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
print(memory("VmHWM") - before)
free = pipeline("text-classification", engine=engine, threads=2)(mixed, truncation=True)
close = all(
    a["label"] == b["label"] and abs(a["score"] - b["score"]) < 1e-4 for a, b in zip(answers, free)
)
print(answers == free or (engine == "onnxruntime" and close))
"""


@linux
@pytest.mark.parametrize("mode", ["latency", pytest.param("throughput", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("engine", "ceiling"),
    [("native", 100), pytest.param("onnxruntime", 155, marks=several)],
)
def test_the_peak_stays_below_the_ceiling(
    engine: str, ceiling: int, mode: str, tmp_path: Path
) -> None:
    done = python(["-W", "ignore", "-c", PEAK + LENGTHS, engine, mode, ceiling], tmp_path)
    assert done.returncode == 0, done.stderr
    peak, alike = done.stdout.split()
    assert 30 < float(peak) <= ceiling  # the modules alone are 30
    assert alike == "True"


@pytest.mark.parametrize(
    ("engine", "ceiling"),
    [("native", 40), pytest.param("onnxruntime", 90, marks=several)],
)
def test_a_ceiling_that_is_too_low_says_what_is_enough(engine: Any, ceiling: int) -> None:
    with pytest.raises(InputError, match=f"^max_memory_mb is {ceiling}; .* needs at least ") as low:
        pipeline("text-classification", engine=engine, max_memory_mb=ceiling)
    least = int(str(low.value).split()[-1])
    with pytest.raises(InputError, match=f"needs at least {least}$"):
        pipeline("text-classification", engine=engine, max_memory_mb=least - 1)
    with pipeline("text-classification", engine=engine, max_memory_mb=least, threads=1) as classify:
        assert classify("Operating profit rose.")[0]["label"] == "positive"


@several
def test_a_text_that_does_not_fit_is_refused_and_the_next_one_answered() -> None:
    with pipeline(
        "text-classification", engine="onnxruntime", max_memory_mb=135, threads=1
    ) as classify:
        with pytest.raises(
            InputError,
            match=r"^a text of 512 tokens needs more memory than max_memory_mb=135 leaves for "
            r"computing \(\d+ MiB\); raise it, or cut texts with max_length$",
        ):
            classify("profit rose " * 400, truncation=True)
        assert classify("Operating profit rose.")[0]["label"] == "positive"
        assert classify("profit rose " * 400, truncation=True, max_length=64)


@pytest.mark.parametrize("value", [0, -5, 1.5, "100", True])
def test_what_is_no_ceiling_is_refused(tiny_bundle: Path, value: Any) -> None:
    with pytest.raises(InputError, match="max_memory_mb is"):
        pipeline("text-classification", tiny_bundle, max_memory_mb=value)


def test_the_native_engine_splits_a_batch_and_answers_the_same_bits(tmp_path: Path) -> None:
    folder = native_bundles.build(tmp_path / "native")
    texts = [f"profit rose {i} " * (1 + i) for i in range(12)]
    free = pipeline("text-classification", folder, engine="native", threads=2)
    bound = pipeline("text-classification", folder, engine="native", threads=2, max_memory_mb=200)
    engine: Any = bound.runner.engine
    batch = bound.runner.tokenizer.encode(texts, truncation=True)
    whole = free.runner.engine.run(batch)["logits"]
    calls: list[int] = []
    needs = engine._needs.bytes_of

    def counted(part: Batch) -> int:
        calls.append(len(part))
        return int(needs(part))

    object.__setattr__(engine._parts, "computing", needs(batch.take([11])))  # the longest alone
    engine._needs.bytes_of = counted
    assert engine.run(batch)["logits"].tobytes() == whole.tobytes()
    assert max(calls) == 12
    assert len(calls) > 3


# What a graph asks for beside its answers is ONNX Runtime's own to refuse.
STRANGER = """
path, = sys.argv[1:]
try:
    with pipeline("text-classification", path, engine="onnxruntime", max_memory_mb=400) as classify:
        classify("profit rose")
except LeanBertError as error:
    print(str(error).partition(path)[2] or str(error))
print(memory("VmHWM") - before)
"""


@linux
@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "outer Add"])
def test_a_graph_that_asks_for_gigabytes_is_refused_below_a_ceiling(
    bundle_copy: Path, kind: str, tmp_path: Path
) -> None:
    done = python(["-c", PEAK + STRANGER, hostile(bundle_copy, kind)], tmp_path)
    assert done.returncode == 0, done.stderr
    said, peak = done.stdout.splitlines()
    assert "more memory than max_memory_mb=400 leaves" in said
    assert float(peak) <= 400


@several
def test_the_command_takes_a_ceiling(capsys: pytest.CaptureFixture[str], tiny_bundle: Path) -> None:
    command = Command(capsys)
    given = ("predict", "-m", tiny_bundle, "profit rose", "--max-memory-mb")
    code, out, _ = command(*given, "400")
    assert code == 0
    assert "positive" in out
    assert command.wrong(*given, "20").startswith("leanbert: --max-memory-mb is 20; ")
