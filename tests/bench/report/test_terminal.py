from __future__ import annotations

import copy
import re
import shutil

import pytest

from leanbert_bench.report.formatting import number, rough_percent, tiny
from leanbert_bench.report.noise import all_warnings, noise_warnings
from leanbert_bench.report.terminal import terminal_table
from leanbert_bench.results.limit import limit_ms, share
from leanbert_bench.results.per_turn import (
    grid_ms,
    grid_speedup,
    multi_stream_ms,
    offline_texts_per_s,
    single_stream_ms,
)
from tests.helpers import bench_results as examples
from tests.helpers.bench_results import VARIETY


@pytest.mark.parametrize("kind", list(VARIETY))
@pytest.mark.parametrize("width", [20, 80, 100, 120, 500])
def test_it_fits_and_is_plain(kind: str, width: int) -> None:
    lines = terminal_table(VARIETY[kind], width).splitlines()
    assert max(map(len, lines)) <= min(max(width, 80), 120)
    assert all(line.isprintable() for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_it_fills_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert shutil.get_terminal_size().columns == 90
    assert terminal_table(VARIETY["whole"]) == terminal_table(VARIETY["whole"], 90)


def test_it_shows_what_there_is() -> None:
    text = terminal_table(VARIETY["incomplete"], 120)
    assert "the run is not complete" in text
    assert "share of the limit" not in text  # the roof was not measured
    # Its one shape in one turn is shown, and does not make it the fastest over the grid.
    assert re.search(r"\nLeanBERT int8, ONNX Runtime +6\.05 +– ", text)
    assert "over the whole grid: LeanBERT int8, ONNX Runtime" not in text
    assert "LeanBERT int8, native" not in text
    empty = terminal_table(VARIETY["nothing"] | {"complete": True}, 80)
    assert empty == "nothing was measured yet\n"


def test_it_says_who_is_missing_and_what_to_do() -> None:
    text = terminal_table(VARIETY["troubles"], 80)
    assert (
        "  OpenVINO fp32: skipped: openvino is not installed; pip install openvino nncf\n" in text
    )
    assert "Optimum int8 (avx512_vnni preset): timed out" in text
    assert "share of the limit" in text


def test_percentiles_and_means_are_of_each_turn() -> None:
    backend = {
        "grid": {
            "1x8": {"forward_ms": [[1, 2, 9], [2, 2, 2], []]},
            "1x32": {"forward_ms": [[8], [8]]},
        },
        "scenarios": {
            "SingleStream": {"latency_ms": [list(range(1, 11)), [5]]},
            "MultiStream": {"latency_ms": [list(range(1, 201))]},
            "Offline": {"texts_per_s": [3, None, 4]},
        },
    }
    assert single_stream_ms(backend) == [9, 5]
    assert multi_stream_ms(backend) == [198]
    assert offline_texts_per_s(backend) == [3, 4]
    assert grid_ms(backend, ["1x8", "1x32"]) == pytest.approx([4, 4])
    assert grid_ms(backend, ["1x8", "8x8"]) == []
    half = {"grid": {"1x8": {"forward_ms": [[1], [1]]}, "1x32": {"forward_ms": [[4], [4]]}}}
    found = grid_speedup(half, backend)
    assert found is not None
    assert found.median == pytest.approx(2)


def test_the_limit_is_the_slower_of_computing_and_reading() -> None:
    results = {
        "roof": {"int8_gops": [90, 100], "fp32_gflops": [50], "bandwidth_gbs": [10]},
        "operations": {
            "1x8": {
                "linear": 200_000_000, "attention": 50_000_000,
                "weight_bytes_int8": 10_000_000, "weight_bytes_fp32": 400_000_000,
            }
        },
    }  # fmt: skip
    # 0.2 GOP at 100 GOP/s and 0.05 at 50: 3 ms; reading 10 MB at 10 GB/s: 1 ms.
    assert limit_ms(results, "1x8", "int8") == pytest.approx(3)
    # 0.25 GOP at 50: 5 ms; reading 400 MB: 40 ms.
    assert limit_ms(results, "1x8", "fp32") == pytest.approx(40)
    assert limit_ms(results, "1x8", "bf16") is None
    assert limit_ms(results, "8x8", "int8") is None
    backend = {"precision": "int8", "grid": {"1x8": {"forward_ms": [[6.0]]}}}
    assert share(results, backend, "1x8") == pytest.approx(0.5)
    for peak in ("int8_gops", "fp32_gflops", "bandwidth_gbs"):
        lacking = copy.deepcopy(results)
        lacking["roof"][peak] = []  # type: ignore[index]
        assert limit_ms(lacking, "1x8", "int8") is None


def test_a_quiet_run_has_no_warnings() -> None:
    quiet = examples.make()
    for backend in quiet["backends"]:
        backend["scenarios"]["MultiStream"]["latency_ms"] = [[1.0] * 100] * 5
    assert all_warnings(quiet) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"turns": 1}, "one turn only"),
        ({"turns": 3}, "3 turns only"),
        ({"noise": 0.3}, "lie far apart for"),
        ({}, "MultiStream: 10 queries per turn"),
    ],
)
def test_doubtful_numbers_are_said_to_be(options: dict[str, float], told: str) -> None:
    assert any(told in line for line in noise_warnings(examples.make(**options)))  # type: ignore[arg-type]


def test_a_machine_that_slows_down_is_noticed_but_not_a_back_end_that_does() -> None:
    results = examples.make(turns=6)
    one = results["backends"][3]["grid"]
    for shape in one.values():
        shape["forward_ms"][3:] = [[2 * ms for ms in turn] for turn in shape["forward_ms"][3:]]
    assert not any("drift" in line for line in noise_warnings(results))
    for backend in results["backends"]:
        for shape in backend["grid"].values():
            shape["forward_ms"][3:] = [
                [1.2 * ms for ms in turn] for turn in shape["forward_ms"][3:]
            ]
    assert any(line.startswith("drift: the machine was 2") for line in noise_warnings(results))


def test_the_runs_own_warnings_come_first() -> None:
    results = examples.make(turns=1) | {"warnings": ["pip was\nbusy"]}
    assert all_warnings(results)[0] == "pip was busy"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.432, "5.43"), (9.996, "10.0"), (154.2, "154"), (999.6, "1,000"), (1127.3, "1,127"),
        (0.01234, "0.0123"), (0.0, "0"), (3, "3"), (12345, "12,345"), (None, ""), (-1.5, "-1.50"),
    ],
)  # fmt: skip
def test_three_digits_count(value: float | None, text: str) -> None:
    assert number(value) == text


def test_small_shares_keep_two_digits() -> None:
    shares = [rough_percent(value) for value in (1.16, 0.34, 0.0213, 0.0015, None)]
    assert shares == ["116%", "34%", "2.1%", "0.15%", ""]


def test_tiny_differences_stay_visible() -> None:
    assert [tiny(value) for value in (0.0, 1.2e-7, 0.0041, 0.39, None)] == [
        "0", "1.2e-07", "0.0041", "0.3900", "",
    ]  # fmt: skip
