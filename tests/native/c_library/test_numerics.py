"""The C library's hashes and numbers beside Python's: every length, and numbers at the edges."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanbert import numerics
from tests.helpers.native_library import load_probe

F32 = npt.NDArray[np.float32]
POOLS = [
    numerics.cls_pool,
    numerics.max_pool,
    numerics.mean_pool,
    numerics.mean_sqrt_pool,
    numerics.weighted_mean_pool,
    numerics.last_pool,
]
"""In the order of ``Pooling``."""


@pytest.fixture(scope="module")
def probe() -> Any:
    library = load_probe()
    if not hasattr(library, "probe_sha256"):
        pytest.skip("the probe library was built without the C library")
    library.probe_sha256.restype = ctypes.c_bool
    pointer, size = ctypes.c_void_p, ctypes.c_uint64
    library.probe_sha256.argtypes = [ctypes.c_char_p, size, size, ctypes.c_bool, ctypes.c_char_p]
    for name in ("softmax", "sigmoid", "unit_length"):
        getattr(library, f"probe_{name}").argtypes = [pointer, size]
    library.probe_pool.argtypes = [ctypes.c_int, pointer, size, size, pointer]
    return library


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "instructions"])
def test_hashes_are_those_of_python(probe: Any, plain: bool) -> None:
    data = np.random.default_rng(1).integers(0, 256, 5000, np.uint8).tobytes()
    lengths = [*range(200), 511, 512, 513, 5000]
    for length in lengths:
        for parts in (1, 63, 64, 65, 5000):
            found = ctypes.create_string_buffer(65)
            if not probe.probe_sha256(data, length, parts, plain, found):
                pytest.skip("this CPU has no instructions for SHA-256")
            assert found.value.decode() == hashlib.sha256(data[:length]).hexdigest()


def changed(probe: Any, name: str, values: F32) -> F32:
    copy = np.array(values, np.float32, order="C")
    getattr(probe, f"probe_{name}")(copy.ctypes.data, copy.size)
    return copy


def rows() -> list[F32]:
    rng = np.random.default_rng(2)
    edges = [0.0, -0.0, 1e-45, -1e-45, 88.7, -88.7, 99.99, -99.99, 100.0, -100.0, -100.01, 3.4e38]
    found = [np.array(edges[:n], np.float32) for n in range(1, len(edges) + 1)]
    for scale in (1e-6, 0.1, 1, 10, 60, 1e4):
        found += [rng.normal(0, scale, n).astype(np.float32) for n in (1, 2, 3, 31, 32, 33, 3000)]
    return found


def test_softmax_and_sigmoid_have_pythons_bits(probe: Any) -> None:
    for row in rows():
        assert changed(probe, "softmax", row).tobytes() == numerics.softmax(row[None])[0].tobytes()
        assert changed(probe, "sigmoid", row).tobytes() == numerics.sigmoid(row).tobytes()


def test_vectors_are_scaled_as_numpy_scales_them(probe: Any) -> None:
    rng = np.random.default_rng(3)
    for width in [*range(1, 300), 384, 768, 1024, 4096, 4100]:
        row = rng.normal(0, 1, width).astype(np.float32)
        assert changed(probe, "unit_length", row).tobytes() == numerics.l2_normalize(row).tobytes()
    zeros = np.zeros(8, np.float32)
    assert changed(probe, "unit_length", zeros).tobytes() == zeros.tobytes()


@pytest.mark.parametrize("number", range(len(POOLS)), ids=lambda i: POOLS[i].__name__)
def test_tokens_are_pooled_as_numpy_pools_them(probe: Any, number: int) -> None:
    rng = np.random.default_rng(4)
    for tokens in (1, 2, 3, 9, 130, 512, 6000):
        hidden = rng.normal(0, 3, (tokens, 64)).astype(np.float32)
        found = np.empty(64, np.float32)
        probe.probe_pool(number, hidden.ctypes.data, tokens, 64, found.ctypes.data)
        assert found.tobytes() == POOLS[number](hidden).tobytes()
