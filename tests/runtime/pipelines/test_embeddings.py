"""Embeddings in few bits: the numbers of sentence-transformers' ``quantize_embeddings``."""

from __future__ import annotations

import numpy as np
import pytest

from leanbert.errors import InputError
from leanbert.pipelines.embeddings import _matmul, quantize_embeddings

VALUES = np.array([[0.0, 7.0, -255.0], [255.0, 7.0, 0.5], [100.5, 7.0, 255.0]], np.float32)


def test_steps_of_a_range() -> None:
    found = quantize_embeddings(VALUES, "uint8")
    assert found.dtype == np.uint8
    # floor((x - smallest) / ((largest - smallest) / 255)); a dimension that never changes is 0.
    assert found.tolist() == [[0, 0, 0], [255, 0, 127], [100, 0, 255]]
    signed = quantize_embeddings(VALUES, "int8")
    assert signed.dtype == np.int8
    assert signed.tolist() == [[-128, -128, -128], [127, -128, -1], [-28, -128, 127]]


def test_what_lies_outside_is_clipped() -> None:
    ranges = [[50.0, 0.0, 0.0], [101.0, 255.0, 510.0]]  # steps of 0.2, 1 and 2
    assert quantize_embeddings(VALUES, "uint8", ranges)[:2].tolist() == [[0, 7, 0], [255, 7, 0]]
    calibrated = quantize_embeddings(VALUES[2], "uint8", calibration_embeddings=ranges)
    assert calibrated.tolist() == [252, 7, 127]


def test_a_matmul_has_one_order() -> None:
    random = np.random.default_rng(5)
    vector = random.normal(size=150).astype(np.float32)
    columns = random.normal(size=(150, 37)).astype(np.float32)
    wanted = np.zeros(37, np.float32)
    for start in range(0, 150, 64):
        part = np.zeros(37, np.float32)
        for k in range(start, min(start + 64, 150)):
            for j in range(37):
                part[j] += vector[k] * columns[k, j]
        wanted += part
    np.testing.assert_array_equal(_matmul(vector, columns), wanted)


def test_bits() -> None:
    vector = np.array([1, -1, 0, 2, 3, -4, 5, 6, 7, -8], np.float32)
    assert quantize_embeddings(vector, "ubinary").tolist() == [0b10011011, 0b10000000]
    found = quantize_embeddings(vector, "binary")
    assert found.dtype == np.int8
    assert found.tolist() == [0b10011011 - 128, 0]


def test_float32() -> None:
    found = quantize_embeddings(VALUES.tolist(), "float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VALUES)


def test_what_cannot_be() -> None:
    with pytest.raises(InputError, match="precision is 'float16'; expected one of float32"):
        quantize_embeddings(VALUES, "float16")
    with pytest.raises(InputError, match="precision='int8' needs the range of each dimension"):
        quantize_embeddings(VALUES[0], "int8")
