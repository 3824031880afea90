"""Results without their samples: a summary per turn, which gives the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert_bench.results.per_turn import summarized
from leanbert_bench.results.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from leanbert_bench.results.access import Json, Results


_SAMPLED = ("forward_ms", "latency_ms")


def compacted(results: Results) -> Json:
    """Return results whose turns hold summaries, and no attempts of the Server scenario.

    Every table and plot stays what it was. Results that are compact already stay as they are.
    """
    backends = [_without_samples(backend) for backend in results["backends"]]
    return {**results, "schema_version": SCHEMA_VERSION, "backends": backends}


def _without_samples(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        if key in _SAMPLED:
            found[key] = [summarized(turn) for turn in item if turn]
        elif key != "attempts":
            found[key] = _without_samples(item)
    return found
