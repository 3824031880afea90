"""LeanBERT inside another program: it leaves the process as it was, is silent, and rests when idle.

Each case is a process of its own, whose state before the import is compared with that at the end.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import native_bundles
from tests.helpers.processes import python

ENGINES = ("native", "onnxruntime")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native_bundles.build(tmp_path_factory.mktemp("bundles") / "native")


# What a library could change of its host. numpy and the rest of the host's own modules come first.
STATE = """
import decimal, gc, locale, os, random, signal, socket, sys, threading, time, warnings
import numpy as np
path, engine = sys.argv[1:]
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
os.environ.pop("RAYON_NUM_THREADS", None)
os.environ["OMP_NUM_THREADS"] = "1"  # then the tokenizer's threads are bounded, too
try:
    import resource
except ImportError:
    resource = None

def state():
    found = {
        "environment": dict(os.environ),
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "locale": locale.setlocale(locale.LC_ALL),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "path hooks": list(sys.path_hooks),
        "finders": list(sys.meta_path),
        "excepthook": sys.excepthook,
        "unraisablehook": sys.unraisablehook,
        "displayhook": sys.displayhook,
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "thread excepthook": threading.excepthook,
        "stack size": threading.stack_size(),
        "trace": (sys.gettrace(), sys.getprofile()),
        "switch interval": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "collector's callbacks": list(gc.callbacks),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "decimal": str(decimal.getcontext()),
        "numpy errors": np.geterr(),
        "numpy prints": np.get_printoptions(),
        "random": (random.getstate(), np.random.get_state()[1].tobytes()),
        "socket timeout": socket.getdefaulttimeout(),
        "time zone": time.tzname,
        # Flushed denormals, or another direction of rounding, would change these.
        "floats": (5e-324 * 1.0, 2.3e-308 / 4, 1.0 + 1e-16, -1.0 - 1e-16, 1.0 + 2.0**-52 * 0.75,
                   (np.full(64, 1e-40, np.float32) * np.float32(0.5)).tobytes()),
    }
    if hasattr(os, "sched_getaffinity"):
        found["affinity"] = os.sched_getaffinity(0)
        found["scheduler"] = (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
    if hasattr(signal, "pthread_sigmask"):
        found["signal mask"] = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    if resource is not None:
        names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
        found["limits"] = {name: resource.getrlimit(getattr(resource, name)) for name in names}
        mask = os.umask(0o022)
        os.umask(mask)
        found["mask"] = mask
    return found

def check(when):
    after = state()
    different = [name for name in before if before[name] != after[name]]
    assert not different, (when, [(before[name], after[name]) for name in different])

before = state()
import leanbert
check("import")
classify = leanbert.pipeline("text-classification", path, engine=engine, threads=2)
check("opened")
assert classify.engine_report.engine == engine
classify.warm_up()
classify("profit rose")
classify(["profit rose " * (1 + i) for i in range(40)], truncation=True)
classify.document("Profit rose. Sales fell.")
list(classify.stream(iter(["profit rose", "sales fell"])))
check("called")
with leanbert.pipeline("text-classification", path, engine=engine, mode="throughput") as other:
    other(["profit rose"] * 64)
classify.close()
check("closed")
try:
    classify("profit rose")
except leanbert.LeanBertError:
    pass
check("refused")
print("as it was")
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_host_is_left_as_it_was(bundle: Path, engine: str, tmp_path: Path) -> None:
    done = python(["-c", STATE, bundle, engine], tmp_path)
    assert done.stdout == "as it was\n", done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


IDLE = """
import sys, time
from leanbert import pipeline
path, engine, mode = sys.argv[1:]
classify = pipeline("text-classification", path, engine=engine, threads=2, mode=mode)
classify("profit rose")
classify(["profit rose " * (1 + i % 30) for i in range(64)])
time.sleep(0.1)  # threads that wait for the next call may spin for some microseconds
before = time.process_time()
time.sleep(1)
print(time.process_time() - before)
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_an_idle_pipeline_takes_no_cpu(
    bundle: Path, engine: str, mode: str, tmp_path: Path
) -> None:
    done = python(["-c", IDLE, bundle, engine, mode], tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.01  # seconds of CPU in a second; a thread that spins takes 1


LOGGED = """
import sys
path, engine, how = sys.argv[1:]
if how != "silent":
    import logging
if how == "listening":
    shown = "%(name)s %(levelname)s %(message)s"
    logging.basicConfig(level="DEBUG", stream=sys.stdout, format=shown)
imported = "logging" in sys.modules
from leanbert import pipeline
with pipeline("text-classification", path, engine=engine, threads=1) as classify:
    classify(["profit rose", "sales fell"])
    report = classify.engine_report
if how == "silent":
    assert imported == ("logging" in sys.modules) or engine == "onnxruntime"  # it would take time
else:
    logger = logging.getLogger("leanbert")
    assert [type(h) for h in logger.handlers] == [logging.NullHandler], logger.handlers
    assert logger.propagate and logger.level == logging.NOTSET
    others = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] == "leanbert"]
    assert others == ["leanbert"], others
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how", ["silent", "imported", "listening"])
def test_a_host_that_listens_hears_one_logger(
    bundle: Path, engine: str, how: str, tmp_path: Path
) -> None:
    done = python(["-c", LOGGED, bundle, engine, how], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    if how != "listening":
        assert done.stdout == ""
        return
    lines = [line for line in done.stdout.splitlines() if line.startswith("leanbert ")]
    assert f"leanbert INFO {bundle}: closed" in lines
    assert any(f"{bundle}: text-classification on {engine}" in line for line in lines)
    assert {line.split()[1] for line in lines} <= {"INFO", "DEBUG"}
