"""Who takes part in a run: the model, the back ends, and why one of them cannot run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leanbert_bench.backends import REFERENCE, missing_packages
from leanbert_bench.run.process import WorkerError

if TYPE_CHECKING:
    from pathlib import Path

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends import Backend
    from leanbert_bench.run.journal import Journal
    from leanbert_bench.run.plan import Plan
    from leanbert_bench.run.process import WorkerProcess
    from leanbert_bench.run.workload import Workload


RUN = "run"
"""The journal's name for steps that belong to no back end."""

PIPELINE = "transformers-pipeline"
"""The reference of tasks whose decoding is more than a softmax."""

_WITH_GRID = frozenset({"text-classification", "feature-extraction"})


@dataclass(frozen=True)
class Spec:
    """A back end to be measured."""

    id: str
    name: str
    factory: str
    """``module:Class`` of a :class:`~leanbert_bench.backends.Backend`."""
    precision: str
    bundle: Path | None = None
    """The bundle that the user named, if it measures one."""


@dataclass(frozen=True)
class Subject:
    """The model that all back ends run."""

    name: str
    task: str
    config: ModelConfig
    checkpoint: Path | None
    """``None`` where only given bundles are measured."""
    weights_sha256: str | None
    bytes: int
    random_weights: str | None = None


@dataclass
class Participant:
    """A back end in a run."""

    spec: Spec
    kind: type[Backend]
    status: str = "ok"
    reason: str | None = None
    install: str | None = None
    model: Path | None = None
    worker: WorkerProcess | None = field(default=None, repr=False)

    def drop(self, status: str, reason: str, install: str | None = None) -> None:
        """End it: its entry in the results says why, and has no numbers."""
        self.status, self.reason, self.install = status, reason, install
        self.close(at_once=True)

    def close(self, *, at_once: bool = False) -> None:
        """End its process if there is one, and keep what it found."""
        if self.worker is not None:
            self.worker.close(at_once=at_once)
            self.worker = None

    @property
    def running(self) -> WorkerProcess:
        """The process that takes its turns.

        Raises:
            WorkerError: there is none.
        """
        if self.worker is None:
            raise WorkerError("is not running")
        return self.worker

    @property
    def prepared(self) -> Path:
        """The path that it loads.

        Raises:
            WorkerError: there is nothing yet.
        """
        if self.model is None:
            raise WorkerError("is not prepared")
        return self.model


@dataclass(frozen=True)
class Bench:
    """What all steps of a run share."""

    plan: Plan
    subject: Subject
    workload: Workload
    threads: int
    """The threads that each back end may use."""
    journal: Journal
    """The finished steps, which are not measured again."""

    @property
    def has_grid(self) -> bool:
        """Whether every back end can be called with token ids for this task."""
        return self.subject.task in _WITH_GRID

    @property
    def reference(self) -> str:
        """The back end that all others are compared with."""
        return REFERENCE if self.has_grid else PIPELINE


def screen(who: Participant, subject: Subject) -> None:
    """Drop a back end that cannot run here, with the reason and what to install."""
    kind, made_here = who.kind, who.spec.bundle is None
    if made_here and subject.checkpoint is None:
        who.drop("skipped", "needs a checkpoint, and only bundles were given")
        return
    if subject.task not in kind.tasks:
        who.drop("skipped", f"this back end does no {subject.task}")
        return
    needed = [*kind.requires, *(kind.makes_with if made_here else ())]
    absent = missing_packages(name for name in needed if name != "leanbert")
    if absent:
        who.drop("skipped", f"{', '.join(absent)} not installed", _installation(kind, absent))
        return
    reason = kind.why_not(subject.config) or _no_pipeline(kind, subject.task)
    if reason:
        who.drop("skipped", reason)


def _installation(kind: type[Backend], absent: list[str]) -> str:
    """The command that installs what a back end lacks."""
    if kind.family == "leanbert":
        return "pip install 'leanbert[export]'"
    if "optimum-onnx" in absent:  # which holds back transformers
        return "pip install 'leanbert[bench-peers]' in an environment of its own"
    return f"pip install {' '.join(absent)}"


def _no_pipeline(kind: type[Backend], task: str) -> str | None:
    if kind.family != "leanbert":
        return None
    from leanbert.pipelines import TASKS

    return None if task in TASKS else f"this LeanBERT does no {task}"
