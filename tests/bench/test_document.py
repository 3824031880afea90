from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from leanbert_bench.document import (
    measured,
    parse_shape,
    read_document,
    reference_of,
    shapes_of,
    troubles,
    write_document,
)
from tests.helpers import bench_documents as documents


def test_what_was_written_is_read_from_file_or_directory(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_document(path, documents.VARIETY["troubles"])
    assert read_document(path) == read_document(tmp_path) == documents.VARIETY["troubles"]


def damaged(key: str, value: Any) -> str:
    return json.dumps(documents.VARIETY["one turn"] | {key: value})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not valid JSON"),
        ("[]", "no schema_version"),
        ('{"format_version": 1}', "no schema_version"),
        ('{"schema_version": 2}', "schema version 2, but this leanbert reads 1"),
        ('{"schema_version": 1}', "malformed: machine, versions, model, settings, data, backends"),
        (damaged("machine", None), "malformed: machine$"),
        (damaged("backends", [{"id": "a", "name": 3}]), r"backends\[0\] lacks name, status"),
        (damaged("backends", [3]), r"backends\[0\] lacks id, name, status"),
        (damaged("backends", 2 * documents.make()["backends"]), "eager-fp32 is there twice"),
    ],
)
def test_foreign_results_are_refused_in_one_line(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=told) as error:
        read_document(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_missing_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"results\.json: No such file"):
        read_document(tmp_path)


def test_troubles_say_what_to_do() -> None:
    assert troubles(documents.VARIETY["troubles"]) == [
        "Optimum int8 (avx512_vnni preset): timed out: no answer within 600 s",
        "OpenVINO fp32: skipped: openvino is not installed; pip install openvino nncf",
        "CTranslate2 int8: failed: died: killed by SIGKILL",
    ]


def test_who_shares_a_cause_shares_a_line() -> None:
    document = documents.make()
    for name in ("openvino-fp32", "openvino-int8"):
        documents.broken(document, name, "skipped", "openvino is not installed", "pip install it")
    assert troubles(document) == [
        "OpenVINO fp32; OpenVINO int8 (NNCF static): skipped: openvino is not installed; "
        "pip install it"
    ]


def test_only_whole_results_count() -> None:
    found = documents.VARIETY["troubles"]
    assert len(measured(found)) == len(documents.PEERS) - 3
    assert reference_of(documents.VARIETY["no reference"]) is None
    assert reference_of(found) is found["backends"][0]


def test_shapes_are_in_order_of_size() -> None:
    assert shapes_of(documents.VARIETY["whole"]) == list(documents.SHAPES)
    assert parse_shape("8x128") == (8, 128)
    with pytest.raises(InputError, match="'8x' is no shape"):
        parse_shape("8x")
