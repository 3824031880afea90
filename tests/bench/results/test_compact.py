from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanbert.cli import main
from leanbert_bench.report.readme import readme_table
from leanbert_bench.report.terminal import terminal_table
from leanbert_bench.report.writing import markdown
from leanbert_bench.results.compact import compacted
from leanbert_bench.results.per_turn import forward_ms, sample_count, single_stream_ms
from leanbert_bench.results.schema import read_results, to_json, write_json
from tests.helpers.bench_results import VARIETY

COMMITTED = sorted((Path(__file__).parents[3] / "benchmarks" / "results").glob("*.json"))


@pytest.mark.parametrize("kind", sorted(VARIETY))
def test_every_table_stays_what_it_was(kind: str) -> None:
    whole, small = VARIETY[kind], compacted(VARIETY[kind])
    assert readme_table(small) == readme_table(whole)
    assert terminal_table(small) == terminal_table(whole)
    assert markdown(small) == markdown(whole)
    assert compacted(small) == small


def test_a_turn_becomes_its_count_median_and_tail() -> None:
    results = compacted(VARIETY["whole"])
    before, after = VARIETY["whole"]["backends"][0], results["backends"][0]
    turn = after["scenarios"]["SingleStream"]["latency_ms"][0]
    assert sorted(turn) == ["median", "p90", "p99", "samples"]
    assert sample_count(turn) == 20
    assert forward_ms(after, "1x8") == forward_ms(before, "1x8")
    assert single_stream_ms(after) == single_stream_ms(before)
    assert "attempts" not in after["scenarios"]["Server"]
    assert len(to_json(results)) < len(to_json(VARIETY["whole"]))


def test_the_command_rewrites_in_place_or_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(tmp_path / "results.json", VARIETY["whole"])
    assert main(["bench", "compact", str(tmp_path), "-o", str(tmp_path / "small.json")]) == 0
    assert "small.json: " in capsys.readouterr().out
    small = read_results(tmp_path / "small.json")
    assert small != read_results(tmp_path)
    assert main(["bench", "compact", str(tmp_path / "results.json")]) == 0
    assert read_results(tmp_path) == small
    study = tmp_path / "study.json"
    study.write_text(json.dumps({"rows": [{"a": 1 / 3}]}, indent=4))
    assert main(["bench", "compact", str(study)]) == 0
    assert study.read_text() == '{\n"rows": [\n{"a": 0.3333333}\n]\n}\n'


def test_an_output_that_is_a_directory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(tmp_path / "results.json", VARIETY["whole"])
    words = ["bench", "compact", str(tmp_path / "results.json"), "-o", str(tmp_path)]
    assert main(words) == 2
    told = f"leanbert: {tmp_path}: is a directory; name the file to write\n"
    assert capsys.readouterr().err == told


def test_what_cannot_be_compacted_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.json").write_text("[]")
    for words, told in (
        ([str(tmp_path / "no.json")], "no.json: No such file"),
        ([str(tmp_path / "list.json")], "holds no JSON object"),
        (["a", "b", "-o", "c"], "--output takes one file"),
    ):
        assert main(["bench", "compact", *words]) != 0
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_results_are_compact(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= 300_000
    assert to_json(json.loads(text)) == text, f"run: leanbert bench compact {path.name}"
