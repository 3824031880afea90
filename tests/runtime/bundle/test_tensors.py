"""A safetensors file of floats is read; everything else in its place is one clear error."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert.bundle.tensors import parse_tensors
from leanbert.errors import BundleCorruptError

WHERE = Path("2_Dense/model.safetensors")
VALUES = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -0.5]])


def file(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def one(dtype: str, body: bytes, **changes: Any) -> bytes:
    entry = {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, len(body)], **changes}
    return file({"__metadata__": {"format": "pt"}, "a": entry}, body)


@pytest.mark.parametrize(("dtype", "numpy"), [("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2")])
def test_floats_of_each_width(dtype: str, numpy: str) -> None:
    found = parse_tensors(one(dtype, VALUES.astype(numpy).tobytes()), WHERE)
    assert found["a"].dtype == np.float32
    np.testing.assert_array_equal(found["a"], VALUES)


def test_bfloat16() -> None:
    halves = (VALUES.astype("<f4").view(np.uint32) >> 16).astype("<u2")
    np.testing.assert_array_equal(parse_tensors(one("BF16", halves.tobytes()), WHERE)["a"], VALUES)


BODY = VALUES.astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a safetensors file"),
        (b"12345", "not a safetensors file"),
        (struct.pack("<Q", 3) + b"{a}", "not valid JSON"),
        (struct.pack("<Q", 1 << 60) + b"{}", "not a safetensors file"),
        (file([1]), "the header is a list of 1; expected an object"),
        (file({"a": 5}), "expected an object"),
        (one("I64", BODY), "'a' has the type 'I64'; expected F32"),
        (one("F32", BODY, shape=[2, 4]), "'a' has other bytes than its shape asks for"),
        (one("F32", BODY, shape=[1] * 9), "'a' has 9 axes"),
        (one("F32", BODY, shape=[-1, 3]), "shape is -1"),
        (one("F32", BODY, data_offsets=[0, 999]), "data_offsets is 999"),
        (one("F32", BODY, data_offsets=[24, 0]), "other bytes than its shape asks for"),
        (one("F32", BODY, data_offsets=[0]), "other bytes than its shape asks for"),
        (file({"a": {"dtype": "F32", "shape": []}}), "data_offsets is None; expected a list"),
    ],
)
def test_what_is_none(data: bytes, said: str) -> None:
    with pytest.raises(BundleCorruptError, match=said) as caught:
        parse_tensors(data, WHERE)
    assert str(caught.value).startswith(str(WHERE))
