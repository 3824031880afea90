"""The bundle that ships: its size and its engine."""

from __future__ import annotations

from leanbert.bundle import Bundle
from leanbert.engines import choose_engine
from leanbert_models import default_model
from leanbert_training import build


def test_the_placed_bundle_is_small() -> None:
    parts = build.sizes(default_model())

    assert 5_000_000 < parts["bundle"] <= build.MAX_BYTES
    assert parts["bundle"] == sum(size for name, size in parts.items() if name != "bundle")


def test_the_placed_bundle_runs_natively_where_the_cpu_allows() -> None:
    bundle = Bundle.open(default_model())
    assert bundle.manifest is not None
    assert bundle.manifest.card["native engine"].startswith("yes")
    assert bundle.config.id2label == {0: "positive", 1: "negative", 2: "neutral"}
    choose_engine(bundle)
