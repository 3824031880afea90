"""Make ``results.json``: everything that a run found, as samples without statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from leanbert import __version__
from leanbert.bundle import Bundle
from leanbert_bench.provenance import describe_bundle
from leanbert_bench.results.schema import SCHEMA_VERSION
from leanbert_bench.run.installed import installed_bytes
from leanbert_bench.run.judging import accuracy, batch_invariance
from leanbert_bench.run.operations import operations
from leanbert_bench.run.participants import RUN
from leanbert_bench.run.plan import parts_of
from leanbert_bench.run.process import VARIABLES
from leanbert_bench.run.scenarios import (
    MULTI_STREAM,
    OFFLINE,
    SAMPLES_PER_QUERY,
    SERVER,
    SINGLE_STREAM,
)
from leanbert_bench.run.turns import server_bound_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert_bench.run.measuring import Run
    from leanbert_bench.run.participants import Participant
    from leanbert_bench.run.workload import Workload


_SEED = 0
_DRIFT = 1.15

Json = dict[str, Any]


@dataclass(frozen=True)
class About:
    """What is known of the run apart from what it found."""

    command: str
    machine: Json
    versions: dict[str, str]
    commit: str | None
    seconds: float = 0.0
    complete: bool = False
    warnings: Sequence[str] = field(default_factory=tuple)
    isa: str | None = None
    """Kernels that LeanBERT's native engine is held to by ``LEANBERT_ISA``."""
    texts: bool = True
    """Whether texts of the data may be written into the results."""


def make_results(run: Run, about: About) -> Json:
    """Return the whole ``results.json`` of a run that is over or still going on."""
    subject, plan, workload = run.subject, run.plan, run.workload
    lengths = sorted(run.journal.get(RUN, "lengths") or [])
    labels = list(subject.config.id2label.values())
    grid = plan.grid if run.bench.has_grid else ()
    with_labels = subject.task in {"text-classification", "token-classification"}
    return {
        "schema_version": SCHEMA_VERSION,
        "leanbert": __version__,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": about.command,
        "complete": about.complete,
        "seconds": round(about.seconds, 1),
        "machine": about.machine,
        "versions": about.versions,
        "commit": about.commit,
        "model": {
            "name": subject.name,
            "task": subject.task,
            "random_weights": subject.random_weights,
            "labels": labels if with_labels else None,
            "weights_sha256": subject.weights_sha256,
            "checkpoint_bytes": subject.bytes,
        },
        "settings": {
            "threads": run.threads,
            "turns": plan.turns,
            "warmup": plan.warmup,
            "grid": [list(shape) for shape in grid],
            "time_limit_s": plan.time_limit_s,
            "quick": plan.quick,
            "seed": _SEED,
            "reference": run.bench.reference,
            "scenarios": list(plan.scenarios),
            "isa": about.isa,
        },
        "data": {
            "name": workload.name,
            "sha256": workload.sha256,
            "rows": len(workload.texts),
            "repeated_rows": len(workload.texts) - len(set(map(repr, workload.texts))),
            "labels": _has_truth(workload),
            "bundled": workload.bundled,
            "median_tokens": lengths[len(lengths) // 2] if lengths else None,
            "p95_tokens": lengths[int(0.95 * (len(lengths) - 1))] if lengths else None,
        },
        "roof": _roof(run),
        "operations": {
            f"{rows}x{length}": found
            for rows, length in grid
            if (found := operations(subject.config.raw, rows, length)) is not None
        },
        "backends": [_backend(run, who, about) for who in run.participants],
        "warnings": [*about.warnings, *run.warnings, *_drift(run)],
    }


def _has_truth(workload: Workload) -> bool:
    return any(part is not None for part in (workload.labels, workload.truths, workload.tags))


def _roof(run: Run) -> Json | None:
    turns = (run.journal.get(RUN, f"turn {turn}: roof") for turn in range(run.plan.turns))
    samples = [sample for sample in turns if sample]
    if not samples:
        return None
    names = ("int8_gops", "fp32_gflops", "bandwidth_gbs")
    found: Json = {
        "library": samples[0]["library"],
        "threads": run.threads,
        **{name: [sample[name] for sample in samples] for name in names},
    }
    if "native_isa" in samples[0]:
        found["native_isa"] = samples[0]["native_isa"]
        found["native_gops"] = [sample["native_gops"] for sample in samples]
    return found


def _backend(run: Run, who: Participant, about: About) -> Json:
    id_, kind, journal = who.spec.id, who.kind, run.journal
    found: Json = {
        "id": id_,
        "name": who.spec.name,
        "family": kind.family,
        "precision": who.spec.precision,
        "arrangement": kind.arrangement,
        "status": who.status,
        "reason": who.reason,
        "install": who.install,
    }
    loaded = journal.get(id_, "load")
    if who.status != "ok" or loaded is None:
        return found
    memory = journal.get(id_, "memory") or {}
    made = (journal.get(id_, f"cold {i}") for i in range(run.plan.cold_starts))
    cold = [sample for sample in made if sample]
    starts = [loaded, *cold]
    prepared = journal.get(id_, "prepare")
    return {
        **found,
        "threads_set": {**loaded["threads_set"], **dict.fromkeys(VARIABLES, run.threads)},
        "versions": {
            name: version for name in kind.requires if (version := about.versions.get(name))
        },
        "bundle": _bundle(who, loaded["about"]),
        "model_bytes": loaded["size"],
        "installed_bytes": installed_bytes(kind.requires, kind.installed_folders()),
        "prepare_s": prepared["seconds"] if prepared else 0.0,
        "cold_start_s": [sample["seconds"] for sample in cold],
        "load_s": [sample["load_s"] for sample in starts],
        "first_forward_s": [sample["first_forward_s"] for sample in starts],
        "first_answer_rss_mib": [sample["rss_mib"] for sample in cold if sample.get("rss_mib")],
        "grid": {
            part.name: {"forward_ms": turns}
            for part in parts_of(run.plan)
            if part.shape and (turns := _turns(run, id_, part.name))
        },
        "scenarios": _scenarios(run, id_),
        "memory": {
            "peak_rss_mib": memory.get("peak_rss_mib") or journal.get(id_, "peak"),
            "rss_mib_after": memory.get("rss_mib_after", {}),
        },
        "accuracy": _accuracy(run, id_, texts=about.texts),
        "batch_invariance": batch_invariance(run.bench, id_),
    }


def _accuracy(run: Run, id_: str, *, texts: bool) -> Json | None:
    found = accuracy(run.bench, id_)
    if found and not texts:
        for flip in found.get("flips", ()):
            flip["text"] = None
    return found


def _turns(run: Run, id_: str, part: str) -> list[Any]:
    """What each finished turn found, in order."""
    found = (run.journal.get(id_, f"turn {turn}: {part}") for turn in range(run.plan.turns))
    return [samples for samples in found if samples is not None]


def _scenarios(run: Run, id_: str) -> Json:
    found: Json = {}
    single, multi = _turns(run, id_, SINGLE_STREAM), _turns(run, id_, MULTI_STREAM)
    offline, server = _turns(run, id_, OFFLINE), _turns(run, id_, SERVER)
    if single:
        found[SINGLE_STREAM] = {"latency_ms": single}
    if multi:
        found[MULTI_STREAM] = {"latency_ms": multi, "samples_per_query": SAMPLES_PER_QUERY}
    if offline:
        found[OFFLINE] = {
            "texts_per_s": [turn["texts"] / turn["seconds"] for turn in offline],
            "tokenization_s": [
                turn["tokenization_s"] for turn in offline if turn["tokenization_s"] is not None
            ],
            "texts": offline[0]["texts"],
        }
    if server:
        found[SERVER] = {
            "bound_ms": server_bound_ms(run.bench),
            "attempts": [
                {"turn": i, **attempt}
                for i, turn in enumerate(server)
                for attempt in turn["attempts"]
            ],
            "qps": [turn["qps"] for turn in server],
        }
    return found


def _bundle(who: Participant, about: Json) -> Json | None:
    """The bundle's manifest and recipe, and what the loaded engine says of itself."""
    if who.kind.family != "leanbert" or who.model is None:
        return None
    manifest = Bundle.open(who.model).manifest
    recipe = manifest.recipe.get("name") if manifest else None
    digest = describe_bundle(who.model)["manifest_sha256"]
    return {"manifest_sha256": digest, "recipe": recipe, **about}


def _drift(run: Run) -> list[str]:
    """A warning if the reference itself ran at different speeds in different turns."""
    turns = _turns(run, run.bench.reference, SINGLE_STREAM)
    middles = [sorted(samples)[len(samples) // 2] for samples in turns if samples]
    if len(middles) < 2 or max(middles) < _DRIFT * min(middles):
        return []
    return [
        f"the machine drifted: the reference's median latency went from {min(middles):.1f} to "
        f"{max(middles):.1f} ms between turns; ratios are paired by turn, absolute times are not"
    ]
