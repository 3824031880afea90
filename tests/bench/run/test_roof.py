"""The machine's limit without PyTorch: the graph of one matmul, made of bytes, is what it says."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

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
