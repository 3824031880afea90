"""A worker process and its pipes, which is given one command at a time with a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
"""Environment variables by which libraries learn how many threads they may use."""

_SECONDS_TO_EXIT = 10


class WorkerError(Exception):
    """A worker died or reported an error; the message is one line."""


class WorkerTimeoutError(WorkerError):
    """A worker did not answer within its time limit, and was ended."""


class WorkerProcess:
    """A worker and its pipes; a context manager that always ends the process.

    Args:
        factory: ``module:Class`` of the back end, or whatever else ``module`` asks for.
        threads: the number of threads that its environment allows.
        module: what the process runs: it calls :func:`leanbert_bench.run.worker.serve`.
    """

    def __init__(
        self, factory: str, threads: int, module: str = "leanbert_bench.run.worker"
    ) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, factory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=worker_environment(threads),
            text=True,
            encoding="ascii",
            start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
        )

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(at_once=kind is not None)

    def ask(self, do: str, time_limit: float | None = None, **arguments: object) -> dict[str, Any]:
        """Send one command and wait for its answer.

        Args:
            do: the name of the command.
            time_limit: seconds until the worker is ended; ``None`` for no limit.
            arguments: the arguments of the command, which JSON can hold.

        Raises:
            WorkerTimeoutError: the time was over.
            WorkerError: the worker died, or its back end raised an error.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise WorkerError("has no pipes")
        over = threading.Event()

        def end() -> None:
            over.set()
            end_at_once(self._process)

        timer = threading.Timer(time_limit, end) if time_limit is not None else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError):  # a broken or closed pipe
            line = ""
        finally:
            if timer:
                timer.cancel()
        if not line.endswith("\n"):
            if over.is_set():
                raise WorkerTimeoutError(f"no answer to {do} within {time_limit:.0f} s")
            raise WorkerError(f"died during {do}: {self._cause()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"failed during {do}: {reply['error']}")
        return reply

    @property
    def returncode(self) -> int | None:
        """The exit code, or ``None`` while the process runs."""
        return self._process.poll()

    def close(self, *, at_once: bool = False) -> None:
        """Close the process's stdin so that it ends, and kill it if it does not."""
        if at_once:
            end_at_once(self._process)
        try:
            self._process.communicate(timeout=_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            end_at_once(self._process)
            self._process.communicate()
        except (OSError, ValueError):  # its pipes broke: it is dead already
            end_at_once(self._process)
            self._process.wait()
        self._errors.close()

    def _cause(self) -> str:
        try:
            code = self._process.wait(timeout=_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            return "closed its output"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        if code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        return f"exit code {code}" + (f" ({lines[-1][:300]})" if lines else "")


def end_at_once(process: subprocess.Popen[str]) -> None:
    """Kill a process that leads a session of its own, and what it started, such as a compiler."""
    if process.poll() is None and hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def compiling_environment() -> dict[str, str]:
    """Return this process's environment, but let Python keep the modules that it compiles.

    Installing a package compiles its modules once. Where Python may keep nothing, a source checkout
    would compile them at every start, and its installed peers would not.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def worker_environment(threads: int) -> dict[str, str]:
    """Return an environment that gives every library the same threads, and no network."""
    return {
        **compiling_environment(),
        **dict.fromkeys(VARIABLES, str(threads)),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "OPENVINO_TELEMETRY": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONSAFEPATH": "1",  # no module of the current directory replaces one of ours
    }
