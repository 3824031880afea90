"""studies.families: its table, and one small family from export to times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert_bench.results.schema import read_json
from studies import families


def row(**changes: Any) -> dict[str, Any]:
    times = {
        "1x32": {"native": [3.0, 3.5, 4.0], "pytorch": [12.0, 14.0, 16.0], "openvino": [6.0] * 3}
    }
    return {
        "family": "mpnet", "int8_matmuls": 14, "agreement": 0.9565, "rows": 23,
        "native": "yes; 25 texts", "without": {}, "times": times,
    } | changes  # fmt: skip


def test_the_table_gives_ratios_paired_by_turn() -> None:
    refused = row(family="bert", without={"onnxruntime": "RuntimeError: no operator"})
    none = row(native="no, some reason")
    none["times"]["1x32"].pop("native")
    head, _, *rows = families.table({"rows": [refused, none]}).splitlines()
    assert head.endswith(
        "| 1x32: native, ms | x PyTorch fp32 | x ONNX Runtime int8 | x OpenVINO int8 |"
    )
    assert rows == [
        "| bert | 4.7 | 95.7% of 23 | 3.50 | 4.0 | RuntimeError: no operator | 1.7 |",
        "| mpnet | 4.7 | 95.7% of 23 | no, some reason |  |  |  |",
    ]


def test_what_was_not_prepared_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert families.main(["--work-dir", str(tmp_path), "--families", "bert"]) == 1
    told = capsys.readouterr().err
    assert "report.json: No such file" in told
    with pytest.raises(SystemExit):
        families.main(["--families", "bert"])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_a_family_from_export_to_times(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("torch", "openvino", "nncf"):
        pytest.importorskip(library)
    small = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    sizes = {**families.FAMILIES[family], **small}
    monkeypatch.setattr(families, "FAMILIES", {family: sizes})
    words = ["--work-dir", str(tmp_path), "--families", family]
    assert families.main([*words, "--prepare"]) == 0
    file = tmp_path / "found.json"
    short = ["--grid", "1x8", "--threads", "1", "--turns", "1", "--seconds", "0.01"]
    assert families.main([*words, *short, "-o", str(file)]) == 0
    (found,) = read_json(file)["rows"]
    assert found["family"] == family
    assert found["fp32_difference"] < 1e-3
    assert found["without"] == {}
    assert set(found["times"]["1x8"]) == set(families.ENGINES)
    assert all(len(turns) == 1 and turns[0] > 0 for turns in found["times"]["1x8"].values())
