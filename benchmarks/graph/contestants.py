"""The engines as the parent knows them: what each needs, its process, and its place in tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.engines import report_engine
from leanbert_bench.provenance import installed
from leanbert_bench.run.process import WorkerProcess

NEEDED = ("torch", "transformers", "optimum-onnx", "onnx")
OPENVINO_PACKAGES = ("openvino", "nncf")

Shape = tuple[int, int]
"""Batch size and tokens."""


@dataclass(frozen=True)
class Contestant:
    """An engine with its model, as the parent knows it."""

    name: str
    """In tables."""
    kind: str
    """A key of :data:`graphs.KINDS`."""
    model: Path
    isa: str | None = None
    """Kernels that LeanBERT's native engine is held to; ``None`` for what the CPU has."""

    def start(self, threads: int, output: str) -> WorkerProcess:
        """Start its process and load the model there.

        Raises:
            WorkerError: it cannot be loaded.
        """
        worker = WorkerProcess(self.kind, threads, "graphs")
        try:
            model = str(self.model.absolute())
            worker.ask("load", model=model, threads=threads, output=output, isa=self.isa)
        except BaseException:
            worker.close(at_once=True)
            raise
        return worker


def engines_of(name: str, bundle: Path, isa: str | None = None) -> list[Contestant]:
    """A bundle on each engine that can run it here; the native one with the kernels of ``isa``.

    Raises:
        BundleError: it is no bundle.
    """
    chosen = report_engine(Bundle.open(bundle)).engine
    engines = ["onnxruntime", "native"] if chosen == "native" else ["onnxruntime"]
    return [
        Contestant(
            f"LeanBERT {engine}{f' ({isa})' if isa and engine == 'native' else ''}, {name}",
            f"leanbert-{engine}",
            bundle.absolute(),
            isa if engine == "native" else None,
        )
        for engine in engines
    ]


def in_throughput_mode(name: str, bundle: Path) -> Contestant:
    """A bundle on ONNX Runtime as ``mode="throughput"`` computes a batch of several texts."""
    return Contestant(
        f"LeanBERT onnxruntime in throughput mode, {name}", "leanbert-workers", bundle.absolute()
    )


def prepare(
    kind: str, checkpoint: Path, folder: Path, output: str, calibration: Path | None = None
) -> Path:
    """Make an engine's model in a process of its own; returns ``folder``.

    Raises:
        WorkerError: the engine's own tools failed.
        OSError: ``folder`` cannot be made.
    """
    folder.mkdir(parents=True)
    with WorkerProcess(kind, allowed_cores(), "graphs") as worker:
        worker.ask(
            "prepare",
            checkpoint=str(checkpoint.absolute()),
            folder=str(folder.absolute()),
            output=output,
            calibration=str(calibration) if calibration else None,
        )
    return folder


def missing_openvino() -> str | None:
    """The line that says how to have OpenVINO among the engines; ``None`` if it is there."""
    absent = [name for name in OPENVINO_PACKAGES if installed(name) is None]
    if not absent:
        return None
    return f"OpenVINO is left out; to have it: pip install {' '.join(OPENVINO_PACKAGES)}"


def named_bundle(value: str) -> tuple[str, Path]:
    """Parse a command line's ``NAME=DIR``.

    Raises:
        argparse.ArgumentTypeError: it is not of this form.
    """
    name, _, folder = value.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"{value!r} is not NAME=DIR, as int8=build/int8")
    return name, Path(folder)


def interval(found: Mapping[str, Any], digits: int = 2) -> str:
    """An :class:`~leanbert_bench.statistics.Estimate`, as JSON has it, for a table's cell."""
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f}–{found['high']:.{digits}f})"


@contextmanager
def all_closed(workers: dict[str, WorkerProcess]) -> Iterator[None]:
    """End the processes with the block, at once if it fails."""
    try:
        yield
    finally:
        for worker in workers.values():
            worker.close(at_once=sys.exc_info()[0] is not None)
