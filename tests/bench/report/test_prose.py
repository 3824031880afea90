"""What a report says in words: the machine's limit, and LeanBERT's own."""

from __future__ import annotations

from leanbert_bench.report.prose import facts
from tests.helpers.bench_results import make


def test_the_limit_names_its_libraries_and_the_path_that_ran() -> None:
    results = make()
    line = dict(facts(results))["Limit"]
    assert line == (
        "925 GOP/s of int8 matmuls, 233 GFLOP/s of fp32 matmuls, 42.0 GB/s of memory reads; "
        "measured by oneDNN, on 2 threads; 352 GOP/s by LeanBERT's own kernels for avx2"
    )
    del results["roof"]["native_gops"]
    assert dict(facts(results))["Limit"].endswith("measured by oneDNN, on 2 threads")


def test_a_limit_that_was_not_measured_is_said_to_be_none() -> None:
    assert "not measured" in dict(facts(make(roof=False)))["Limit"]
