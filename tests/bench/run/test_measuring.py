"""A whole run of back ends that are quick, or crash, hang, and refuse in every way."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanbert_bench.backends import REFERENCE
from leanbert_bench.report.page import html
from leanbert_bench.report.prose import LEFT_OUT
from leanbert_bench.report.writing import markdown
from leanbert_bench.results.schema import check_results
from leanbert_bench.run import measuring
from leanbert_bench.run.answering import answer_rows
from leanbert_bench.run.journal import Journal
from leanbert_bench.run.judging import tags_of
from leanbert_bench.run.making import About, make_results
from leanbert_bench.run.measuring import Run
from tests.helpers.bench_models import LABELS, SMALL, checkpoint, new_run, subject, workload

ABOUT = About("leanbert bench run", {"cpu": "A CPU"}, {"numpy": "2"}, None, 1.0, True)
TROUBLED = (
    "DiesOffline", "Hangs", "RaisesAtLoad", "Killed", "FailsToPrepare", "Absent", "Refuses",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _fakes() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "ROOF", "tests.helpers.bench_fakes")
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a run in which most go wrong."""
    folder = tmp_path_factory.mktemp("run")
    run = new_run(folder, "Fake", "Doubtful", *TROUBLED, plan=replace(SMALL, time_limit_s=4.0))
    run.screen()
    run.execute()
    found: dict[str, Any] = json.loads(json.dumps(make_results(run, ABOUT)))
    run.journal.close()
    return found


def of(results: dict[str, Any], id_: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in results["backends"] if item["id"] == id_)
    return found


def test_each_trouble_costs_its_own_row_and_one_line(results: dict[str, Any]) -> None:
    told = {item["id"]: (item["status"], item["reason"]) for item in results["backends"]}
    assert told == {
        REFERENCE: ("ok", None),
        "Doubtful": ("ok", None),
        "DiesOffline": ("failed", "died during offline: exit code 3 (out of luck)"),
        "Hangs": ("timed_out", "no answer to scores within 4 s"),
        "RaisesAtLoad": ("failed", "failed during load: ValueError: two lines"),
        "Killed": ("failed", "died during load: killed by SIGKILL"),
        "FailsToPrepare": (
            "failed", "failed during prepare: OSError: [Errno 28] No space left on device",
        ),
        "Absent": ("skipped", "no-such-peer not installed"),
        "Refuses": ("skipped", "it knows no bert"),
    }  # fmt: skip
    assert of(results, "Absent")["install"] == "pip install no-such-peer"


def test_the_document_has_the_schema_s_keys(results: dict[str, Any]) -> None:
    check_results(results, "results.json")
    assert set(results) == {
        "schema_version", "leanbert", "created", "command", "complete", "seconds", "machine",
        "versions", "commit", "model", "settings", "data", "roof", "operations", "backends",
        "warnings",
    }  # fmt: skip
    assert results["model"]["labels"] == LABELS
    assert results["settings"]["reference"] == REFERENCE
    assert results["data"] == {
        "name": "texts.csv", "sha256": "0" * 64, "rows": 6, "repeated_rows": 0, "labels": True,
        "bundled": False,
        "median_tokens": 4, "p95_tokens": 4,
    }  # fmt: skip
    assert set(results["operations"]) == {"1x8", "2x4"}
    assert results["roof"] == {
        "library": "none", "threads": 1, "int8_gops": [2.0, 2.0], "fp32_gflops": [1.0, 1.0],
        "bandwidth_gbs": [3.0, 3.0],
    }  # fmt: skip
    row = of(results, REFERENCE)
    assert set(row) == {
        "id", "name", "family", "precision", "arrangement", "status", "reason", "install",
        "threads_set", "versions", "bundle", "model_bytes", "installed_bytes", "prepare_s",
        "cold_start_s", "load_s", "first_forward_s", "first_answer_rss_mib", "grid", "scenarios",
        "memory", "accuracy", "batch_invariance",
    }  # fmt: skip
    assert row["threads_set"]["threads"] == row["threads_set"]["OMP_NUM_THREADS"] == 1
    assert row["model_bytes"] == 2_000_000
    assert row["installed_bytes"] > 1_000_000  # numpy's


def test_every_sample_of_every_turn_is_kept(results: dict[str, Any]) -> None:
    row = of(results, REFERENCE)
    for name, samples in (("1x8", 3), ("2x4", 3)):
        turns = row["grid"][name]["forward_ms"]
        assert [len(turn) for turn in turns] == [samples, samples]
        assert min(min(turn) for turn in turns) > 0
    scenarios = row["scenarios"]
    assert [len(turn) for turn in scenarios["SingleStream"]["latency_ms"]] == [4, 4]
    assert [len(turn) for turn in scenarios["MultiStream"]["latency_ms"]] == [3, 3]
    assert scenarios["MultiStream"]["samples_per_query"] == 8
    assert scenarios["Offline"]["texts"] == 9
    assert len(scenarios["Offline"]["texts_per_s"]) == 2
    assert all(0 < seconds < 1 for seconds in scenarios["Offline"]["tokenization_s"])
    server = scenarios["Server"]
    assert Counter(attempt["turn"] for attempt in server["attempts"]) == {0: 2, 1: 1}
    assert len(server["qps"]) == 2
    middle = sorted(scenarios["SingleStream"]["latency_ms"][0])[2]
    assert server["bound_ms"] == pytest.approx(4 * middle)
    assert len(row["cold_start_s"]) == 1
    assert len(row["load_s"]) == len(row["first_forward_s"]) == 2  # in the worker, and cold
    assert row["cold_start_s"][0] > row["load_s"][0]
    assert set(row["memory"]["rss_mib_after"]) == {"4", "8"}
    assert 1 < row["memory"]["peak_rss_mib"] < 1000


def test_accuracy_stands_beside_speed(results: dict[str, Any]) -> None:
    reference, doubtful = (of(results, id_)["accuracy"] for id_ in (REFERENCE, "Doubtful"))
    # It never says neutral, and the texts without "good" get its second label.
    assert reference["accuracy"] == pytest.approx(5 / 6)
    assert {"macro_f1", "ece"} <= set(reference)
    assert not {"agreement", "flips", "mean_difference"} & set(reference)
    # Blind to good: a tie, which the first label wins, so the three good ones stay.
    assert doubtful["agreement"] == 1.0
    assert doubtful["max_difference"] > 0.1
    change = of(results, REFERENCE)["batch_invariance"]
    assert change["rows"] == 6
    assert 0 < change["largest"] < 0.01
    assert change["largest"] == max(change["sorted"], change["shuffled"])


def test_texts_that_may_not_be_passed_on_are_not_written(tmp_path: Path) -> None:
    plan = replace(SMALL, turns=1, scenarios=("SingleStream",), memory_counts=(), cold_starts=0)
    run = new_run(tmp_path, "Fake", "Doubtful", plan=plan)
    run.screen()
    run.execute()
    scores = run.journal.get(REFERENCE, "scores alone")
    run.journal.put("Doubtful", "scores alone", [row[1:] + row[:1] for row in scores])
    whole, spared = (make_results(run, replace(ABOUT, texts=told)) for told in (True, False))
    run.journal.close()
    texts = list(run.workload.texts)
    for found, written in ((whole, True), (spared, False)):
        flips = of(found, "Doubtful")["accuracy"]["flips"]
        assert len(flips) == len(texts)
        assert {flip["text"] in texts for flip in flips} == {written}
        assert any(text in json.dumps(found) for text in texts) is written
        page, report = html(found), markdown(found)
        assert [LEFT_OUT in page, LEFT_OUT in report] == [not written] * 2


def test_an_interrupted_run_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    plan = replace(SMALL, scenarios=("SingleStream",), memory_counts=())
    said: list[str] = []

    def interrupt(turn: int) -> None:
        raise KeyboardInterrupt

    first = new_run(tmp_path, "Fake", plan=plan, on_turn=interrupt)
    first.screen()
    with pytest.raises(KeyboardInterrupt):
        first.execute()
    before = first.journal.get(REFERENCE, "turn 0: SingleStream")
    half = make_results(first, replace(ABOUT, complete=False))
    first.journal.close()
    assert len(of(half, REFERENCE)["scenarios"]["SingleStream"]["latency_ms"]) == 1
    second = new_run(tmp_path, "Fake", plan=plan, say=said.append)
    assert second.journal.resumed
    second.screen()
    second.execute()
    turns = of(make_results(second, ABOUT), REFERENCE)["scenarios"]["SingleStream"]["latency_ms"]
    second.journal.close()
    assert turns[0] == before
    assert len(turns) == 2
    assert not any(line.startswith(("turn 1", "prepare", "cold")) for line in said)
    assert sum(line.startswith("turn 2, ") for line in said) == 3


def test_a_budget_leaves_out_what_does_not_fit(tmp_path: Path) -> None:
    plan = replace(SMALL, scenarios=("SingleStream",), memory_counts=(), seconds=20.0)
    run = new_run(tmp_path, "Fake", "SlowToMake", "Doubtful", plan=plan)
    run.screen()
    run.execute()
    found = make_results(run, ABOUT)
    run.journal.close()
    assert [item["status"] for item in found["backends"]] == ["ok", "skipped", "ok"]
    assert "preparing it takes too long" in found["backends"][1]["reason"]
    assert of(found, REFERENCE)["memory"]["peak_rss_mib"] > 1  # of the process that took turns


def test_random_weights_are_for_speed_alone(tmp_path: Path) -> None:
    plan = replace(SMALL, turns=1, scenarios=("SingleStream",), cold_starts=0, memory_counts=())
    model = checkpoint(tmp_path / "model")
    run = new_run(tmp_path, "Fake", plan=plan, subject=subject(model, random_weights="bert-tiny"))
    run.screen()
    run.execute()
    row = of(make_results(run, ABOUT), REFERENCE)
    run.journal.close()
    assert not any("weights changed" in line for line in run.warnings)
    assert row["accuracy"] is None
    assert row["batch_invariance"] is None
    assert len(row["grid"]["1x8"]["forward_ms"]) == 1


def test_weights_that_change_meanwhile_are_noticed(tmp_path: Path) -> None:
    run = new_run(tmp_path, "Fake", plan=replace(SMALL, turns=0, cold_starts=0, memory_counts=()))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"others")
    run.execute()
    run.journal.close()
    assert "the weights changed during the run" in run.warnings[-1]


def test_a_torn_line_and_another_plan(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "partial", {"turns": 2})
    assert not journal.resumed
    journal.put("a", "one", [1.5])
    journal.put("a", "two", {"ü": None})
    journal.close()
    with (tmp_path / "partial" / "steps.jsonl").open("a") as file:
        file.write('["a", "three", [1, 2')  # the machine died here
    journal = Journal(tmp_path / "partial", {"turns": 2})
    assert journal.resumed
    assert journal.get("a", "two") == {"ü": None}
    assert journal.get("a", "three") is None
    journal.put("a", "three", 3)
    journal.close()
    journal = Journal(tmp_path / "partial", {"turns": 2})
    assert [journal.get("a", step) for step in ("one", "three")] == [[1.5], 3]
    journal.close()
    other = Journal(tmp_path / "partial", {"turns": 3})
    assert not other.resumed
    assert other.get("a", "one") is None
    other.remove()
    assert not (tmp_path / "partial").exists()


def test_many_rows_are_sampled_alike_for_all() -> None:
    many = workload(texts=[str(i) for i in range(100)], labels=None)
    few = answer_rows(many, replace(SMALL, accuracy_rows=10))
    assert few == answer_rows(many, replace(SMALL, accuracy_rows=10))
    assert len(set(few)) == 10
    assert answer_rows(many, SMALL) == list(range(100))


def test_entities_are_placed_by_character() -> None:
    words = ["Ada", "Lovelace", "met", "IBM"]
    found = [
        {"entity_group": "PER", "start": 0, "end": 12},
        {"entity_group": "ORG", "start": 17, "end": 20},
    ]
    assert tags_of(found, words) == ["B-PER", "I-PER", "O", "B-ORG"]
    assert tags_of([], words) == ["O"] * 4


def test_answers_to_questions_are_judged(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model")
    asked = workload(labels=None, questions=["q"] * 6, truths=[["good one"]] * 3 + [["x"]] * 3)
    run: Run = new_run(
        tmp_path, "Fake", subject=subject(model, task="question-answering"), workload=asked
    )
    run.journal.put(REFERENCE, "answers", [{"answer": "Good one!", "score": 1.0}] * 6)
    run.journal.put(REFERENCE, "load", {"size": 1, "threads_set": {}, "about": {}} | {
        "load_s": 1.0, "first_forward_s": 1.0,
    })  # fmt: skip
    found = of(make_results(run, ABOUT), REFERENCE)["accuracy"]
    run.journal.close()
    assert (found["exact_match"], found["f1"]) == (0.5, 0.5)
