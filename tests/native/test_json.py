"""The C library's JSON reader against Python's, and what it refuses."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.native_text import RefusedError, parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab\u00e9\n"\\', max_size=4), inner),
    max_leaves=20,
)


def expected(value: Any) -> Any:
    """What :func:`parse_json` gives for a value that Python read with pairs for objects."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return (
            "whole",
            float(value),
            value if -(1 << 63) <= value < 1 << 63 else None,
            value if 0 <= value < 1 << 64 else None,
        )
    if isinstance(value, float):
        return ("real", value)
    if isinstance(value, list):
        return ["list", *map(expected, value)]
    return [(key, expected(item)) for key, item in value.items()]


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_reads_what_python_writes(value: Any, ascii_alone: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_alone, indent=indent)
    assert parse_json(text.encode()) == expected(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", ("whole", 18446744073709551615.0, None, (1 << 64) - 1)),
        ("18446744073709551616", ("whole", 18446744073709551616.0, None, None)),
        ("-9223372036854775808", ("whole", -9223372036854775808.0, -(1 << 63), None)),
        ("-9223372036854775809", ("whole", -9223372036854775809.0, None, None)),
        ("1000000000000000019884624838656", ("whole", 1e30, None, None)),
        ("0", ("whole", 0.0, 0, 0)),
        ("1.0", ("real", 1.0)),
        ("1e0", ("real", 1.0)),
        ("1E-7", ("real", 1e-7)),
        ("2.2250738585072011e-308", ("real", 2.2250738585072011e-308)),
        ("1e400", ("real", float("inf"))),
        ("-1e400", ("real", float("-inf"))),
        ("1e-400", ("real", 0.0)),
        ("0." + "0" * 400 + "1", ("real", 0.0)),
        ("0." + "0" * 400 + "1e800", ("real", float("inf"))),
        ("1" + "0" * 400 + ".0", ("real", float("inf"))),
        ("1" + "0" * 400 + "e-800", ("real", 0.0)),
        (r'"\ud83d\ude00\u00e9\/\b\f\n\r\t"', "😀é/\b\f\n\r\t"),
        (r'"\u0000a"', "\0a"),
        (' [ ] ', ["list"]),
        ('{"b":{"a":1},"a":[]}', [("b", [("a", ("whole", 1.0, 1, 1))]), ("a", ["list"])]),
    ],
)  # fmt: skip
def test_edges(text: str, value: Any) -> None:
    assert parse_json(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "expected a value"),
        (b"{", "expected a key in quotes"),
        (b"[1,]", "expected a value"),
        (b'{"a":1,}', "expected a key in quotes"),
        (b'{"a" 1}', "expected a colon"),
        (b"[1 2]", "expected a comma or ]"),
        (b'{"a":1 "b":2}', "expected a comma or }"),
        (b"[1}", "expected a comma or ]"),
        (b"1 2", "something stands after the value"),
        (b"01", "begins with 0"),
        (b"-", "expected a value"),
        (b"1.", "lacks digits"),
        (b"1e", "lacks digits"),
        (b"1e+", "lacks digits"),
        (b".5", "expected a value"),
        (b"+1", "expected a value"),
        (b"NaN", "expected a value"),
        (b"Infinity", "expected a value"),
        (b"tru", "expected a value"),
        (b'"a', "does not end"),
        (b'"\\', "unknown escape"),
        (b'"\\x"', "unknown escape"),
        (b'"\\u12', "lacks hexadecimal digits"),
        (b'"\\u12g4"', "lacks hexadecimal digits"),
        (b'"\\ud800"', "half a surrogate pair"),
        (b'"\\udc00"', "half a surrogate pair"),
        (b'"\\ud800\\u0041"', "half a surrogate pair"),
        (b'"a\nb"', "control character"),
        (b'"\xff"', "byte 1: not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\xef\xbb\xbf1", "expected a value"),
        (b'{"a":1,"b":2,"a":3}', "a key stands twice"),
        (b'{"\\u0061":1,"a":3}', "a key stands twice"),
        (b"[" * 129 + b"]" * 129, "nested too deeply"),
    ],
)
def test_refuses(text: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=r"^not valid JSON \(byte [0-9]+: ") as refused:
        parse_json(text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nesting_has_a_bound_that_is_reached() -> None:
    value = parse_json(b"[" * 128 + b"]" * 128)
    for _ in range(127):
        assert value[0] == "list"
        value = value[1]
    assert value == ["list"]


def test_many_keys_stand_once() -> None:
    keys = [f"key {number}" for number in range(5000)]
    random.Random(0).shuffle(keys)  # noqa: S311
    text = json.dumps({key: number for number, key in enumerate(keys)}).encode()
    assert [key for key, _ in parse_json(text)] == keys
    with pytest.raises(RefusedError, match="twice"):
        parse_json(text[:-1] + b',"key 4321":0}')


@pytest.mark.parametrize("seed", range(20))
def test_broken_documents_are_read_as_python_does_or_refused(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    good = json.dumps({"a": [1, 2.5, "é\n", None, True, {}], "\ud83d\ude00": {"b": [[], "x" * 9]}})
    for _ in range(200):
        data = bytearray(good.encode())
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(data))
            data[place : place + draw.randrange(3)] = bytes(
                draw.choices(b'{}[]:,"\\u0e-.9tn \x00\xc3\xff', k=draw.randrange(3))
            )
        try:
            found = parse_json(bytes(data))
        except RefusedError:
            continue
        assert found == expected(json.loads(data))  # what is read is what Python reads
