"""Values as cells and as JSON, names that never collide, and messages in the command's words."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.cli.cells import check_finite, exact_cell, json_line, plain_cell
from leanbert.cli.options import _FLAGS, _Flag
from leanbert.cli.wording import in_flags
from leanbert.errors import LeanBertError
from leanbert.records.repeats import distinct_names
from leanbert.shown import OBEYED, one_line, shown


@pytest.mark.parametrize(
    ("wanted", "taken", "names"),
    [
        (["label", "score"], [], ["label", "score"]),
        (["label", "score"], ["label"], ["predicted_label", "score"]),
        (["label"], ["label", "predicted_label"], ["predicted_label.2"]),
        (["a", "a", "a"], ["a"], ["predicted_a", "predicted_a.2", "predicted_a.3"]),
    ],
)
def test_new_columns_never_take_a_name(
    wanted: list[str], taken: list[str], names: list[str]
) -> None:
    assert distinct_names(wanted, taken) == names


@given(st.lists(st.sampled_from("ab")), st.lists(st.sampled_from(["a", "predicted_a", "c"])))
def test_names_are_distinct(wanted: list[str], taken: list[str]) -> None:
    names = distinct_names(wanted, taken)
    assert len(set(names)) == len(names) == len(wanted)
    assert not set(names) & set(taken)


def test_values_of_every_type_are_json() -> None:
    values: dict[str, Any] = {
        "none": None, "nan": math.nan, "list": [math.inf, {"a": -math.inf}],
        "day": dt.date(2024, 2, 29), "time": dt.datetime(2024, 2, 29, 12, 30),  # noqa: DTZ001
        "exact": decimal.Decimal("1.10"), "bytes": b"\x00\xff", "big": 10**30,
    }  # fmt: skip
    assert json.loads(json_line(values)) == {
        "none": None, "nan": None, "list": [None, {"a": None}], "day": "2024-02-29",
        "time": "2024-02-29T12:30:00", "exact": "1.10", "bytes": "AP8=", "big": 10**30,
    }  # fmt: skip


@given(st.text())
def test_json_escapes_what_a_terminal_obeys(text: str) -> None:
    line = json_line({"text": text})
    assert json.loads(line) == {"text": text}
    assert not OBEYED.search(line.removesuffix("\n"))


@given(st.text())
def test_shown_text_obeys_nothing_and_one_line_can_be_undone(text: str) -> None:
    assert not OBEYED.search(shown(text))
    line = one_line(text)
    assert not OBEYED.search(line)
    assert undone(line) == text


def undone(line: str) -> str:
    found, i = "", 0
    while i < len(line):
        if line[i] != "\\":
            found, i = found + line[i], i + 1
            continue
        kind = line[i + 1]
        width = {"x": 2, "u": 4}.get(kind, 0)
        if width:
            found += chr(int(line[i + 2 : i + 2 + width], 16))
        else:
            found += {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[kind]
        i += 2 + width
    return found


def test_cells() -> None:
    assert plain_cell(0.123456) == "0.1235"
    assert plain_cell(None) == ""
    assert plain_cell("a\tb\\") == "a\\tb\\\\"
    assert plain_cell([1, "é"]) == '[1, "é"]'
    assert exact_cell(0.1) == 0.1
    assert exact_cell({"a": None}) == '{"a": null}'
    assert exact_cell(dt.date(2024, 1, 2)) == "2024-01-02"


@pytest.mark.parametrize("answer", [math.nan, [1.0, math.inf], {"scores": {"a": -math.inf}}])
def test_a_score_that_is_no_number_is_an_error(answer: Any) -> None:
    with pytest.raises(LeanBertError, match=r"a\.csv: line 2: the model answers -?(nan|inf)"):
        check_finite(answer, "a.csv: line 2")
    with pytest.raises(LeanBertError, match="which is no score"):
        json_line({"x": answer}, answer, "a.csv: line 2")
    assert json.loads(json_line({"x": math.nan, "score": 1.0}, {"score": 1.0})) == {
        "x": None,
        "score": 1.0,
    }


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (
            "text 0: cut to 32 tokens; pass truncation=True to cut silently, or truncation=False "
            "to raise",
            "text 0: cut to 32 tokens; pass --truncation longest_first to cut silently, or "
            "--truncation do_not_truncate to raise",
        ),
        ("no embedded model does x; pass model=DIR (leanbert", "no embedded model does x; pass "
         "--bundle DIR (leanbert"),
        ('window: sentences have none; pass split="windows"', "window: sentences have none; pass "
         "--split windows"),
        ('it cannot; engine="onnxruntime" can', "it cannot; --engine onnxruntime can"),
        ("max_length is 2; it", "--max-length is 2; it"),
        ("pass multi_label=True", "pass --multi-label"),
        ("pass task=NAME: a, b", "pass --task NAME: a, b"),
        ("the number is 3", "the number is 3"),
    ],
)  # fmt: skip
def test_messages_name_flags(message: str, wanted: str) -> None:
    assert in_flags(message) == wanted


@pytest.mark.parametrize("flag", [flag for flag in _FLAGS if flag.argument], ids=lambda f: f.name)
def test_messages_name_each_flag_of_a_task(flag: _Flag) -> None:
    assert in_flags(f"{flag.dest} is 0; expected more") == f"{flag.name} is 0; expected more"
