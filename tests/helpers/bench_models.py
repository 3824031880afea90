"""A checkpoint that only the fake back ends can read, and a run of them that takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leanbert_bench.run.journal import Journal
from leanbert_bench.run.measuring import Run
from leanbert_bench.run.participants import Spec, Subject
from leanbert_bench.run.plan import FULL, Plan
from leanbert_bench.run.preparing import weights_of
from leanbert_bench.run.scenarios import SCENARIOS
from leanbert_bench.run.workload import Workload

LABELS = ["positive", "negative", "neutral"]
TEXTS = ["good one", "bad one", "a good second", "a bad second", "good", "so so it is"]
TRUTH = ["positive", "negative", "positive", "negative", "positive", "neutral"]

SMALL = Plan(
    turns=2,
    grid=((1, 8), (2, 4)),
    scenarios=SCENARIOS,
    grid_seconds=0.0,
    single=4,
    multi=3,
    offline=9,
    scenario_seconds=5.0,
    server_attempts=(2, 1),
    server_seconds=0.01,
    cold_starts=1,
    memory_counts=(4, 8),
    memory_seconds=30.0,
    accuracy_rows=5_000,
    invariance_rows=256,
    warmup=1,
    time_limit_s=60.0,
)
assert FULL.turns > SMALL.turns


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of whole words in the place of the empty file."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    made = Tokenizer(WordLevel({"[UNK]": 0, "good": 7}, "[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.save(str(folder / "tokenizer.json"))


def checkpoint(folder: Path, *labels: str, **config: Any) -> Path:
    folder.mkdir()
    content = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "id2label": dict(enumerate(labels or LABELS)),
        "vocab_size": 100,
        "hidden_size": 4,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        **config,
    }
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def subject(folder: Path, **changes: Any) -> Subject:
    from leanbert.bundle.config import parse_config
    from leanbert.bundle.reading import read_json

    path = folder / "config.json"
    values = {
        "name": folder.name,
        "task": "text-classification",
        "config": parse_config(read_json(path), path),
        "checkpoint": folder,
        "weights_sha256": weights_of(folder)[0],
        "bytes": 7,
        **changes,
    }
    return Subject(**values)


def workload(**changes: Any) -> Workload:
    values: dict[str, Any] = {
        "name": "texts.csv",
        "sha256": "0" * 64,
        "rows": len(TEXTS),
        "texts": TEXTS,
        "labels": TRUTH,
        **changes,
    }
    return Workload(**values)


def specs(*kinds: str) -> list[Spec]:
    """The first is the reference."""
    from leanbert_bench.backends import REFERENCE

    return [
        Spec(kind if i else REFERENCE, kind, f"tests.helpers.bench_fakes:{kind}", "fp32")
        for i, kind in enumerate(kinds)
    ]


def new_run(folder: Path, *kinds: str, plan: Plan = SMALL, **options: Any) -> Run:
    """A run that is not yet begun; its checkpoint, cache and journal are in ``folder``."""
    model = folder / "model"
    if not model.exists():
        checkpoint(model)
    chosen = {"subject": subject(model), "workload": workload(), "threads": 1, **options}
    return Run(
        plan,
        specs(*kinds),
        chosen.pop("subject"),
        chosen.pop("workload"),
        cache=folder / "cache",
        journal=Journal(folder / "partial", {"plan": repr(plan), "kinds": list(kinds)}),
        **chosen,
    )
