"""The machine's limit without PyTorch: the graph of one matmul, made of bytes, is what it says."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from leanbert.engines.native.binding import native_isa, why_no_library
from leanbert_bench.run import roof


def test_the_integer_product_is_one() -> None:
    session = roof._integer_product(ort, 1)
    draw = np.random.default_rng(0)
    a = draw.integers(0, 255, (5, 7), np.uint8)
    b = draw.integers(-127, 127, (7, 3), np.int8)
    (found,) = session.run(None, {"a": a, "b": b})
    assert found.dtype == np.int32
    assert np.array_equal(found, a.astype(np.int32) @ b.astype(np.int32))


def test_a_sample_has_all_three_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roof, "_SIZES", ((64, 64, 64),))
    monkeypatch.setattr(roof, "_BYTES", 1 << 20)
    monkeypatch.setattr(roof, "_SECONDS", 0.0)
    measured = roof._Roof()
    measured._with_numpy(1)
    found = measured.measure({})
    assert set(found) == {"int8_gops", "fp32_gflops", "bandwidth_gbs"}
    assert all(0 < value < 1e5 for value in found.values())


def test_the_roof_of_leanbert_s_own_kernels_stands_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if why_no_library() is not None:
        pytest.skip(f"no native engine here: {why_no_library()}")
    monkeypatch.setattr(roof, "_SIZES", ((64, 64, 64),))
    monkeypatch.setattr(roof, "_BYTES", 1 << 20)
    monkeypatch.setattr(roof, "_SECONDS", 0.001)
    measured = roof._Roof()
    assert measured.load({"threads": 2})["native_isa"] == native_isa()
    found = measured.measure({})
    assert 0.1 < found["native_gops"] < 1e5


def test_without_the_native_library_its_roof_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roof, "why_no_library", lambda: "not installed")
    monkeypatch.setattr(roof, "_SIZES", ((64, 64, 64),))
    monkeypatch.setattr(roof, "_BYTES", 1 << 20)
    monkeypatch.setattr(roof, "_SECONDS", 0.0)
    measured = roof._Roof()
    assert "native_isa" not in measured.load({"threads": 1})
    assert "native_gops" not in measured.measure({})
