"""The cold start: from the start of a process to its first answer, as a command pays it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from leanbert_bench.run.process import (
    WorkerError,
    WorkerTimeoutError,
    end_at_once,
    worker_environment,
)

_MARK = "leanbert-bench:"
_CODE = f"""
import json, sys
from pathlib import Path
from leanbert_bench.backends import Model, start
factory, model, checkpoint, task, threads, item = json.loads(sys.argv[1])
checkpoint = Path(checkpoint) if checkpoint else None
started = start(factory, Model(Path(model), checkpoint, task, threads), item)
print({_MARK!r}, started.load_s, started.first_forward_s, flush=True)
from leanbert_bench.run.resident import resident_memory
print({_MARK!r}, resident_memory() or 0, flush=True)
"""


def cold_start(
    factory: str,
    model: Path,
    checkpoint: Path | None,
    task: str,
    threads: int,
    item: Any,
    time_limit: float,
) -> dict[str, float]:
    """Time a fresh interpreter from its start until it has answered ``item``.

    Returns:
        ``seconds`` of the whole, ``load_s`` and ``first_forward_s`` as parts of it, and
        ``rss_mib``, the resident memory after the answer (0 where it is unknown).

    Raises:
        WorkerTimeoutError: it did not within ``time_limit`` seconds.
        WorkerError: it failed.
    """
    arguments = json.dumps(
        [factory, str(model), str(checkpoint) if checkpoint else None, task, threads, item]
    )
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE, arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(threads),
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(time_limit, end_at_once, [process])
    timer.daemon = True
    timer.start()
    try:
        found: dict[str, float] = {}
        for line in process.stdout or ():
            if not line.startswith(_MARK):
                continue
            numbers = [float(number) for number in line.removeprefix(_MARK).split()]
            if found:
                return {**found, "rss_mib": numbers[0]}
            found["seconds"] = time.perf_counter() - begin
            found["load_s"], found["first_forward_s"] = numbers
    finally:
        timer.cancel()
        end_at_once(process)
        process.wait()
        if process.stdout:
            process.stdout.close()
    if time.perf_counter() - begin >= time_limit:
        raise WorkerTimeoutError(f"no first answer within {time_limit:.0f} s of a cold start")
    raise WorkerError("gave no answer in a fresh process (cold start)")
