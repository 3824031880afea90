from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from leanbert_bench.results.access import measured, parse_shape, reference_of, shapes_of, troubles
from leanbert_bench.results.schema import read_results, to_json, write_json
from tests.helpers import bench_results as examples


def test_what_was_written_is_read_from_file_or_directory(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, examples.VARIETY["troubles"])
    found = read_results(path)
    assert found == read_results(tmp_path)
    assert found["backends"][0]["model_bytes"] == 438_000_000
    assert troubles(found) == troubles(examples.VARIETY["troubles"])
    text = path.read_text()
    assert json.loads(to_json(found)) == found
    assert text == to_json(found)  # what was rounded once stays


def test_numbers_keep_seven_digits_and_each_back_end_has_a_line() -> None:
    value = {"a": 123.4567891, "b": [1, 0.1 + 0.2], "list": [{"x": 1e-7 / 3}, {"y": None}]}
    assert to_json(value) == (
        '{\n"a": 123.4568,\n"b": [1, 0.3],\n"list": [\n{"x": 3.333333e-08},\n{"y": null}\n]\n}\n'
    )
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": float("nan")})


def damaged(key: str, value: Any) -> str:
    return json.dumps(examples.VARIETY["one turn"] | {key: value})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not valid JSON"),
        ("[]", "no schema_version"),
        ('{"format_version": 1}', "no schema_version"),
        ('{"schema_version": 3}', "schema version 3, but this leanbert reads up to 2"),
        ('{"schema_version": 1}', "malformed: machine, versions, model, settings, data, backends"),
        (damaged("machine", None), "malformed: machine$"),
        (damaged("backends", [{"id": "a", "name": 3}]), r"backends\[0\] lacks name, status"),
        (damaged("backends", [3]), r"backends\[0\] lacks id, name, status"),
        (damaged("backends", 2 * examples.make()["backends"]), "eager-fp32 is there twice"),
    ],
)
def test_foreign_results_are_refused_in_one_line(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=told) as error:
        read_results(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_missing_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"results\.json: No such file"):
        read_results(tmp_path)


def test_troubles_say_what_to_do() -> None:
    assert troubles(examples.VARIETY["troubles"]) == [
        "Optimum int8 (avx512_vnni preset): timed out: no answer within 600 s",
        "OpenVINO fp32: skipped: openvino is not installed; pip install openvino nncf",
        "CTranslate2 int8: failed: died: killed by SIGKILL",
    ]


def test_who_shares_a_cause_shares_a_line() -> None:
    results = examples.make()
    for name in ("openvino-fp32", "openvino-int8"):
        examples.broken(results, name, "skipped", "openvino is not installed", "pip install it")
    assert troubles(results) == [
        "OpenVINO fp32; OpenVINO int8 (NNCF static): skipped: openvino is not installed; "
        "pip install it"
    ]


def test_only_whole_results_count() -> None:
    found = examples.VARIETY["troubles"]
    assert len(measured(found)) == len(examples.PEERS) - 3
    assert reference_of(examples.VARIETY["no reference"]) is None
    assert reference_of(found) is found["backends"][0]


def test_shapes_are_in_order_of_size() -> None:
    assert shapes_of(examples.VARIETY["whole"]) == list(examples.SHAPES)
    assert parse_shape("8x128") == (8, 128)
    with pytest.raises(InputError, match="'8x' is no shape"):
        parse_shape("8x")
