"""Start one worker a back end and let them take turns: A B C, A B C.

Taking turns spreads whatever else the machine does over all back ends alike. A back end that
fails loses its own row and nothing more.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from leanbert.cli.progress import Progress
    from leanbert_bench.workload import Workload

__all__ = ["Measurement", "Spec", "WorkerError", "WorkerProcess", "measure"]

_SECONDS_TO_EXIT = 10


@dataclass(frozen=True)
class Spec:
    """A back end to be measured."""

    name: str
    """Its row's name."""
    factory: str
    """``module:Class`` of a :class:`~leanbert_bench.backends.Backend`."""
    model: Path


@dataclass
class Measurement:
    """What one back end did; ``error`` says why if it failed."""

    spec: Spec
    error: str | None = None
    load_s: float | None = None
    size_bytes: int | None = None
    peak_mib: float | None = None
    latency_ms: list[float] = field(default_factory=list)
    """One value a turn."""
    texts_per_s: list[float] = field(default_factory=list)
    """One value a turn."""
    answers: list[dict[str, float]] = field(default_factory=list)


class WorkerError(Exception):
    """A worker died or reported an error; the message is one line."""


class WorkerProcess:
    """A worker and its pipes; a context manager that always ends the process.

    Args:
        factory: ``module:Class`` of the back end, or whatever else ``module`` asks for.
        threads: the thread budget that its environment declares.
        module: what the process runs: it calls :func:`leanbert_bench.worker.serve`.
    """

    def __init__(self, factory: str, threads: int, module: str = "leanbert_bench.worker") -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, factory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(threads),
            text=True,
            encoding="ascii",
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

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Send one command and wait for its answer.

        Raises:
            WorkerError: the worker died, or its back end raised an error.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise WorkerError("has no pipes")
        try:
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError):  # a broken or closed pipe
            line = ""
        if not line:
            raise WorkerError(f"died during {do}: {self._cause()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"failed during {do}: {reply['error']}")
        return reply

    @property
    def returncode(self) -> int | None:
        """The exit code, ``None`` while the process runs."""
        return self._process.poll()

    def close(self, *, at_once: bool = False) -> None:
        """End the process: its stdin closes, and if it stays, it is killed."""
        if at_once:
            self._process.kill()
        try:
            self._process.communicate(timeout=_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        except (OSError, ValueError):  # its pipes broke: it is dead already
            self._process.kill()
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


def measure(
    specs: Sequence[Spec],
    workload: Workload,
    *,
    threads: int,
    turns: int,
    sample: int,
    progress: Progress,
) -> list[Measurement]:
    """Measure every back end; the result has one entry a spec, in order.

    Args:
        specs: the back ends; their names differ.
        workload: the texts.
        threads: the thread budget of each.
        turns: how often each is measured.
        sample: how many texts a turn answers one by one for the latency.
        progress: is advanced once a back end and once a turn of it.
    """
    results = [Measurement(spec) for spec in specs]
    workers: dict[int, WorkerProcess] = {}
    with tempfile.TemporaryDirectory(prefix="leanbert-bench-") as scratch:
        try:
            for i, result in enumerate(results):
                progress.step(f"load {result.spec.name}")
                folder = Path(scratch) / str(i)
                folder.mkdir()
                try:
                    model = _prepare(result.spec, folder, threads)
                    workers[i] = WorkerProcess(result.spec.factory, threads)
                    _load(workers[i], model, result, workload, threads)
                except (WorkerError, OSError) as error:
                    _drop(i, error, results, workers)
                progress.advance()
            for turn in range(turns):
                texts = workload.shuffled(turn)
                for i, result in enumerate(results):
                    progress.step(f"turn {turn + 1}: {result.spec.name}")
                    if i in workers:
                        try:
                            _take_turn(workers[i], result, texts, sample)
                        except WorkerError as error:
                            _drop(i, error, results, workers)
                    progress.advance()
        finally:
            for worker in workers.values():
                worker.close(at_once=sys.exc_info()[0] is not None)
    return results


def _prepare(spec: Spec, folder: Path, threads: int) -> Path:
    # In a process of its own: an export's memory must not count as the pipeline's.
    with WorkerProcess(spec.factory, threads) as worker:
        reply = worker.ask("prepare", model=str(spec.model), folder=str(folder))
    return Path(reply["model"])


def _load(
    worker: WorkerProcess, model: Path, result: Measurement, workload: Workload, threads: int
) -> None:
    _read_into_page_cache(model)
    text = workload.texts[0]
    reply = worker.ask("load", model=str(model), threads=threads, text=text)
    result.load_s, result.size_bytes = reply["seconds"], reply["size"]
    # Answering every text once is the warm-up, too.
    result.answers = worker.ask("answers", texts=list(workload.texts))["answers"]


def _take_turn(
    worker: WorkerProcess, result: Measurement, texts: Sequence[str], sample: int
) -> None:
    reply = worker.ask("turn", texts=texts, sample=texts[:sample])
    result.latency_ms.append(reply["latency_ms"])
    result.texts_per_s.append(reply["texts_per_s"])
    result.peak_mib = worker.ask("memory")["peak_mib"]


def _drop(
    i: int, error: Exception, results: list[Measurement], workers: dict[int, WorkerProcess]
) -> None:
    results[i] = Measurement(results[i].spec, error=str(error))
    if i in workers:
        workers.pop(i).close(at_once=True)


def _read_into_page_cache(folder: Path) -> None:
    """Read the files once, so that no back end's load time pays for a cold disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass


def _environment(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONSAFEPATH": "1",  # no module of the current directory replaces one of ours
    }
