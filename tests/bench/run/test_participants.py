"""Who can run where a package is missing, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from leanbert_bench import backends
from leanbert_bench.run import participants
from leanbert_bench.run.participants import Participant, Spec, screen
from tests.helpers.bench_models import checkpoint, subject


def test_without_optimum_only_its_peers_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an environment with transformers 5, with which no Optimum works."""

    def absent(names: Iterable[str]) -> list[str]:
        return [name for name in names if name == "optimum-onnx"]

    monkeypatch.setattr(participants, "missing_packages", absent)
    model = subject(checkpoint(tmp_path / "model"))
    skipped = {}
    for id_, factory in backends.REGISTRY.items():
        kind = backends.backend_class(factory)
        monkeypatch.setattr(kind, "why_not", classmethod(lambda *_: None))
        who = Participant(Spec(id_, kind.name, factory, kind.precision), kind)
        screen(who, model)
        if who.status != "ok":
            skipped[id_] = (who.status, who.reason, who.install)
    wanted = (
        "skipped",
        "optimum-onnx not installed",
        "pip install 'leanbert[bench-peers]' in an environment of its own",
    )
    other_task = ("skipped", "this back end does no text-classification", None)
    embedders = (
        "sentence-transformers",
        "sentence-transformers-onnx-int8",
        "sentence-transformers-openvino",
        "fastembed",
        "kjarni",
        "llama-cpp-f16",
        "llama-cpp-q8",
    )
    assert skipped == {
        "optimum-fp32": wanted,
        "optimum-int8": wanted,
        "optimum-int8-batch-32": wanted,
        "openvino-fp32": wanted,
        "openvino-int8": wanted,
        "onnxruntime-fused-fp32": wanted,
        "transformers-js-q8": wanted,
        **dict.fromkeys(embedders, other_task),
    }
