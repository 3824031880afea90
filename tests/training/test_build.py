"""The bundle that ships: its size and its engine."""

from __future__ import annotations

from leanbert.bundle import Bundle
from leanbert.engines import report_engine
from leanbert.engines.native.binding import why_no_library
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
    report = report_engine(bundle)
    assert report.engine == "native" or report.why_not_native == why_no_library()
