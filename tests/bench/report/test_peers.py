"""Tables of one measure: who is shown, against whom, from which files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from leanbert.cli import main
from leanbert.errors import InputError
from leanbert_bench.report.peers import KINDS, Choice, peers_table
from leanbert_bench.results.schema import write_json
from tests.helpers.bench_results import LEAN, REFERENCE, VARIETY, make

PEER = "openvino-int8"


def backend(results: dict[str, Any], id_: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in results["backends"] if item["id"] == id_)
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


@pytest.fixture
def results() -> dict[str, Any]:
    """Two back ends with two turns, whose figures are round."""
    found = make(turns=2, peers=[REFERENCE, PEER, LEAN])
    for id_, ms in ((REFERENCE, 40.0), (PEER, 10.0), (LEAN, 5.0)):
        item = backend(found, id_)
        item["grid"] = {"8x128": {"forward_ms": [[ms, ms, ms], [2 * ms]]}}
        item["scenarios"]["Offline"]["texts_per_s"] = [1e3 / ms, 2e3 / ms]
        item["load_s"], item["first_forward_s"] = [ms / 10, ms / 10], [ms / 10, ms / 5]
        item["first_answer_rss_mib"] = [100 + ms, 104 + ms]
    backend(found, LEAN)["grid"]["8x128"]["forward_ms"][1] = [16.0]
    return found


def test_forward_passes_are_shares_of_the_peers_time(results: dict[str, Any]) -> None:
    choice = Choice((results,), (PEER, LEAN), (PEER,))
    head, rule, row = peers_table("forward", choice).splitlines()
    assert cells(head) == [
        "batch x tokens", "OpenVINO int8 (NNCF static), ms", "LeanBERT int8, native, ms",
        "of OpenVINO int8 (NNCF static)'s time",
    ]  # fmt: skip
    assert head.count("|") == rule.count("|") == row.count("|")
    assert cells(row) == ["8x128", "15.0", "10.5", "0.65 (0.50–0.80)"]


def test_several_files_are_columns_with_names_of_their_own(results: dict[str, Any]) -> None:
    faster = deepcopy(results)
    backend(faster, LEAN)["grid"]["8x128"]["forward_ms"] = [[1.0], [2.0]]
    choice = Choice((results, faster), (LEAN,), (PEER,), ("before", "after"))
    head, _, row = peers_table("forward", choice).splitlines()
    assert cells(head)[1::2] == ["before, ms", "after, ms"]
    assert cells(row)[3:] == ["1.5", "0.10 (0.10–0.10)"]


def test_offline_gives_ratios_of_leanbert_alone(results: dict[str, Any]) -> None:
    _, _, *rows = peers_table("offline", Choice((results,), (), (PEER,))).splitlines()
    assert [cells(row)[1:] for row in rows] == [
        ["37.5", "–"], ["150.0", "–"], ["300.0", "2.00 (2.00–2.00)"],
    ]  # fmt: skip


def test_the_first_answer_is_loading_and_answering(results: dict[str, Any]) -> None:
    table = peers_table("start", Choice((results,), (LEAN,))).splitlines()
    assert cells(table[2])[1:] == ["1.25 (1.00–1.50)", "107"]
    backend(results, LEAN)["first_answer_s"] = [0.5]  # as older files have it
    table = peers_table("start", Choice((results,), (LEAN,))).splitlines()
    assert cells(table[2])[1] == "0.50 (0.50–0.50)"


def test_fidelity_has_a_row_for_each_set_and_compares_the_reference_with_itself(
    results: dict[str, Any],
) -> None:
    for id_ in (REFERENCE, LEAN):
        backend(results, id_)["accuracy"] |= {"held": 190, "held_flipped": int(id_ == LEAN)}
    for key in ("agreement", "mean_difference", "max_difference"):
        del backend(results, REFERENCE)["accuracy"][key]
    other = deepcopy(results)
    other["data"]["name"] = "news.csv"
    choice = Choice((results, other), (REFERENCE, LEAN))
    _, _, *rows = peers_table("fidelity", choice).splitlines()
    assert [cells(row)[1] for row in rows] == ["sample", "news", "sample", "news"]
    assert cells(rows[0])[3:] == ["100.00%", "0.0000", "0.000", "0.8600", "0 of 190"]
    assert cells(rows[3])[3:] == ["98.50%", "0.0041", "0.210", "0.8550", "1 of 190"]
    named = Choice((results, other), (LEAN,), (), ("a", "b"))
    assert "| LeanBERT int8, native | b |" in peers_table("fidelity", named)


def test_batches_and_embeddings(results: dict[str, Any]) -> None:
    backend(results, LEAN)["batch_invariance"] = {
        "rows": 9, "sorted": 0.00012, "shuffled": 0.0, "largest": 0.00012, "held": 9,
        "held_flipped": 2, "worst_cosine": 0.9999987,
    }  # fmt: skip
    backend(results, LEAN)["accuracy"] |= {"mean_cosine": 0.9995, "worst_cosine": 0.99901}
    choice = Choice((results,), (LEAN,))
    row = peers_table("batches", choice).splitlines()[2]
    assert cells(row)[1:] == ["0.00012", "0.00012", "0", "2 of 9"]
    row = peers_table("embeddings", choice).splitlines()[2]
    assert cells(row)[1:] == ["0.99950", "0.99901", "0.999999"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variety", ["whole", "troubles", "incomplete", "one turn", "no reference"])
def test_whatever_is_missing_leaves_a_table_or_one_line(kind: str, variety: str) -> None:
    try:
        lines = peers_table(kind, Choice((VARIETY[variety],))).splitlines()
    except InputError as error:
        assert "hold nothing" in str(error)
    else:
        assert len({line.count("|") for line in lines}) == 1


def test_the_command(
    results: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(tmp_path / "results.json", results)
    words = ["bench", "table", str(tmp_path)]
    assert main([*words, "--kind", "offline", "--backends", LEAN, "--against", PEER]) == 0
    assert "300.0" in capsys.readouterr().out
    for wrong, told in (
        (["--backends", LEAN], "need a --kind"),
        ([str(tmp_path)], "need a --kind"),
        (["--kind", "offline", "--backends", "nobody"], "no result of nobody; there are pytorch"),
        (["--kind", "forward", "--names", "a,b"], "--names has 2 names for 1 results"),
        (["--kind", "forward", "--page", "p.md"], "without --kind"),
        (["--kind", "embeddings"], "hold nothing for a table of kind embeddings"),
    ):
        assert main([*words, *wrong]) == 2
        assert told in capsys.readouterr().err
