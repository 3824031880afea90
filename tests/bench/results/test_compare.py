from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanbert.cli import main
from leanbert.errors import InputError
from leanbert_bench.results.compare import compare, differences
from leanbert_bench.results.conditions import (
    ABSOLUTE,
    RELATIVE,
    Condition,
    parse_condition,
    verdicts,
)
from leanbert_bench.results.schema import write_json
from leanbert_bench.statistics import estimate
from tests.helpers import bench_results as examples
from tests.helpers.bench_results import LEAN

Json = dict[str, Any]
OLD = examples.make(seed=1)


@pytest.mark.parametrize(
    ("text", "metric", "operator", "amount"),
    [
        ("latency > 1.10x", "latency", ">", 1.1),
        ("accuracy<-0.5", "accuracy", "<", -0.5),
        ("  flips  >=  3 ", "flips", ">=", 3),
        ("throughput<=.9x", "throughput", "<=", 0.9),
        ("cold_start > 2 x", "cold_start", ">", 2),
        ("agreement < +1.", "agreement", "<", 1),
    ],
)
def test_conditions_are_read(text: str, metric: str, operator: str, amount: float) -> None:
    assert parse_condition(text) == Condition(text.strip(), metric, operator, amount)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not of the form"),
        ("latency", "not of the form"),
        ("latency > 1.1x > 2x", "not of the form"),
        ("latency == 1x", "not of the form"),
        ("latency > 1,1x", "not of the form"),
        ("latency > nanx", "not of the form"),
        ("latency > 1e3x", "not of the form"),
        ("speed > 1x", "unknown metric 'speed'; there are latency, throughput"),
        ("latency > 1.1", "latency needs a ratio of new to old such as 1.10x"),
        ("accuracy < 0.99x", "accuracy needs a difference in points"),
        ("flips > 2x", "flips needs a difference in texts"),
        ("rss > 0x", "a ratio is above 0"),
    ],
)
def test_bad_conditions_are_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        parse_condition(text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=60)
@given(
    st.sampled_from(RELATIVE + ABSOLUTE),
    st.sampled_from(["<", "<=", ">", ">="]),
    st.decimals(-50, 50, places=2),
    st.sampled_from(["", " ", "  "]),
)
def test_any_condition_of_the_grammar_is_read_and_means_its_operator(
    metric: str, sign: str, amount: Any, space: str
) -> None:
    if metric in RELATIVE:
        amount = abs(amount) + 1
    text = f"{metric}{space}{sign}{space}{amount}{'x' if metric in RELATIVE else ''}"
    condition = parse_condition(text)
    number = float(amount)
    assert condition.amount == number
    assert condition.holds(number) == ("=" in sign)
    assert condition.holds(number + 1) == (">" in sign)
    assert condition.holds(number - 1) == ("<" in sign)


@settings(max_examples=60)
@given(st.text(max_size=20))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        condition = parse_condition(text)
    except InputError:
        return
    assert condition.metric in RELATIVE + ABSOLUTE


def test_noise_does_not_meet_a_condition() -> None:
    condition = parse_condition("latency > 1.05x")
    assert condition.holds_for(estimate([1.08, 1.2, 1.1]))
    assert not condition.holds_for(estimate([1.08, 1.2, 0.9]))  # it may well be no change
    assert not condition.holds_for(estimate([1.01, 1.02, 1.03]))
    assert condition.holds_for(estimate([1.08]))  # one turn is taken at its word
    # "Must be twice as fast": no change at all fails it already, noise is no excuse.
    assert parse_condition("latency > 0.5x").holds_for(estimate([0.9, 1.0, 1.1]))


def changed(change: Callable[[Json], None], identifier: str = LEAN) -> Json:
    """A second run, noise of its own, in which one back end was changed."""
    results = examples.make(seed=2)
    change(next(item for item in results["backends"] if item["id"] == identifier))
    return results


def slower_at_one_shape(item: Json) -> None:
    shape = item["grid"]["1x512"]
    shape["forward_ms"] = [[3 * ms for ms in turn] for turn in shape["forward_ms"]]


WORSE: list[tuple[Callable[[Json], None], str]] = [
    (slower_at_one_shape, "latency > 1.10x"),
    (lambda item: item["cold_start_s"].__setitem__(slice(None), [0.9, 0.9, 0.95]),
     "cold_start > 2x"),
    (lambda item: item["memory"].update(peak_rss_mib=220.0), "rss > 1.2x"),
    (lambda item: item["memory"].update(rss_mib_after={"10000": 400.0}), "rss > 1.2x"),
    (lambda item: item["accuracy"].update(accuracy=0.849), "accuracy < -0.5"),
    (lambda item: item["accuracy"].update(agreement=0.97), "agreement < -1"),
    (lambda item: item["accuracy"].update(flips_count=7), "flips > 3"),
    (lambda item: item["scenarios"]["Offline"].update(texts_per_s=[80.0, 82, 81, 80, 79]),
     "throughput < 0.9x"),
    (lambda item: item["scenarios"]["Server"].update(qps=[0.0] * 5), "throughput < 0.9x"),
    (lambda item: item["scenarios"].pop("SingleStream"), "latency > 1.10x"),
    (lambda item: item.update(accuracy=None), "accuracy < -0.5"),
    (lambda item: item.update(status="failed", reason="boom"), "flips > 100"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text"), WORSE)
def test_what_got_worse_meets_its_condition_and_no_other(
    change: Callable[[Json], None], text: str
) -> None:
    found = compare(OLD, changed(change))
    lines = verdicts(found, parse_condition(text))
    assert lines
    assert all(line.startswith("LeanBERT int8, native: ") for line in lines)
    if not any("any more" in line for line in lines):
        others = {"latency": "> 1.10x", "throughput": "< 0.9x", "flips": "> 3", "rss": "> 1.1x"}
        for metric, amount in others.items():
            if not text.startswith(metric):
                assert verdicts(found, parse_condition(f"{metric} {amount}")) == []


@pytest.mark.parametrize("seed", range(3))
def test_another_run_of_the_same_meets_no_condition(seed: int) -> None:
    found = compare(OLD, examples.make(seed=10 + seed))
    for text in ("latency > 1.05x", "throughput < 0.95x", "rss > 1.01x", "accuracy < -0.1",
                 "agreement < -0.1", "flips > 0", "cold_start > 1.1x"):  # fmt: skip
        assert verdicts(found, parse_condition(text)) == []


def test_verdicts_of_changes() -> None:
    found = compare(OLD, changed(slower_at_one_shape), backends=[LEAN])
    by_name = {change.what: change for change in found.changes}
    grid = by_name["forward pass, geometric mean of 6 shapes"]
    assert grid.verdict == "worse"
    assert grid.ratio is not None
    assert grid.ratio.median == pytest.approx(3 ** (1 / 6), rel=0.05)
    assert by_name["SingleStream, p90"].verdict == "no significant difference"
    assert by_name["peak"].verdict == by_name["flipped labels"].verdict == "same"
    better = compare(changed(slower_at_one_shape), OLD, backends=[LEAN])
    assert better.changes[0].verdict == "better"
    single = compare(examples.make(turns=1), examples.make(turns=1, scale=2), backends=[LEAN])
    assert single.changes[0].verdict == "worse, one value each"


def test_memory_is_compared_after_the_most_texts_that_both_runs_had() -> None:
    short = changed(lambda item: item["memory"].update(rss_mib_after={"1000": 171.0}))
    found = {change.what: change for change in compare(OLD, short, backends=[LEAN]).changes}
    assert found["after 1,000 texts"].new == 171
    gone = changed(lambda item: item["memory"].update(rss_mib_after={"7": 1.0}))
    assert verdicts(compare(OLD, gone), parse_condition("rss > 9x"))


def test_a_slower_machine_cancels_out_when_relative() -> None:
    slow = copy.deepcopy(examples.make(seed=2))
    for item in slow["backends"]:
        for shape in item["grid"].values():
            shape["forward_ms"] = [[1.5 * ms for ms in turn] for turn in shape["forward_ms"]]
    condition = parse_condition("latency > 1.10x")
    assert len(verdicts(compare(OLD, slow), condition)) == len(examples.PEERS)
    relative = compare(OLD, slow, relative=True)
    assert verdicts(relative, condition) == []
    assert examples.REFERENCE not in {change.backend for change in relative.changes}


def test_a_rate_of_zero_is_no_measure() -> None:
    def none_held(item: Json) -> None:
        item["scenarios"]["Server"]["qps"] = [0.0] * 5

    stuck = changed(none_held, examples.REFERENCE)
    for old, new in ((OLD, stuck), (stuck, OLD)):
        whats = {change.what for change in compare(old, new, relative=True).changes}
        assert "Offline" in whats
        assert "Server" not in whats
    absolute = compare(stuck, OLD, backends=[examples.REFERENCE])
    assert "Server" not in {change.what for change in absolute.changes}


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match=r"--backend nobody: the old run has no result of it"):
        compare(OLD, OLD, backends=["nobody"])
    with pytest.raises(InputError, match="--relative: one of the runs has no result"):
        compare(OLD, examples.VARIETY["no reference"], relative=True)
    with pytest.raises(InputError, match="no result to compare with"):
        compare(examples.VARIETY["nothing"], OLD)
    unlabelled = examples.VARIETY["no labels"]
    with pytest.raises(InputError, match="no back end has accuracy in both runs"):
        verdicts(compare(unlabelled, unlabelled), parse_condition("accuracy < -1"))


def test_other_differences_are_told() -> None:
    new = examples.make() | {"versions": {"torch": "2.14.0", "numpy": "2.4.6"}}
    new["data"] = new["data"] | {"sha256": "00" * 32}
    assert differences(OLD, OLD) == {}
    assert differences(OLD, new) == {
        "texts": "cdcdcdcdcdcd → 000000000000", "numpy": "absent → 2.4.6",
        "onnxruntime": "1.32.0 → absent", "torch": "2.13.0 → 2.14.0",
    }  # fmt: skip


def bench(tmp_path: Path, new: Json, *words: str) -> int:
    write_json(tmp_path / "old.json", OLD)
    write_json(tmp_path / "new.json", new)
    return main(
        ["bench", "compare", str(tmp_path / "old.json"), str(tmp_path / "new.json"), *words]
    )


def test_the_command_shows_and_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = examples.make(seed=2, scale=1.2)
    assert bench(tmp_path, new) == 0
    told = capsys.readouterr().out
    assert "LeanBERT int8, native (leanbert-int8-native)\n" in told
    assert told.count("no significant difference") > 20
    words = ["--backend", LEAN, "--fail-if", "latency > 1.10x", "--fail-if", "flips > 3"]
    assert bench(tmp_path, new, *words) == 1
    told = capsys.readouterr().out
    assert "FAIL: latency > 1.10x\n  LeanBERT int8, native: forward pass, geometric mean" in told
    assert told.endswith("ok: flips > 3\n")
    assert "PyTorch" not in told
    worse = changed(lambda item: item["accuracy"].update(accuracy=0.845))
    assert bench(tmp_path, worse, "--backend", LEAN) == 0
    assert "-1.00 points, 2 of 200 texts " in capsys.readouterr().out
    others = ["--backend", "optimum-int8", "--fail-if", "latency > 1.10x"]
    assert bench(tmp_path, new, *others) == 0


def test_exit_code_2_and_one_line_for_what_cannot_be_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(tmp_path, OLD, "--fail-if", "latency > 2") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("leanbert: --fail-if 'latency > 2': ")
    assert captured.err.count("\n") == 1
    other = examples.make() | {"data": OLD["data"] | {"sha256": "00" * 32}}
    assert bench(tmp_path, other) == 0
    assert bench(tmp_path, other, "--fail-if", "flips > 3") == 2
    assert "the runs differ in texts" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text('{"schema_version": 7}')
    assert main(["bench", "compare", str(tmp_path / "bad.json"), str(tmp_path / "new.json")]) == 2
    assert "schema version 7" in capsys.readouterr().err
