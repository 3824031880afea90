"""Attention over distances, kernel by kernel, against numpy in double precision."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.native_library import ISAS, isa_or_skip, isas_here, load_probe
from tests.helpers.native_models import F32, F64

KINDS = ("window", "biased", "disentangled", "keys alone")
REACH = 600
"""Distances at either end that the tables below hold."""
NEAR = 40
ROWS = 2 * NEAR + 30


@dataclass(frozen=True)
class Distances:
    """What attention reads of distances, as the engine keeps it."""

    bias: F32
    keys: F32
    queries: F32
    row: npt.NDArray[np.int64]
    """By key - query, falling; the middle one of distance 0."""

    def pointers(self) -> list[npt.NDArray[Any]]:
        """The rows in both directions, and where sixteen of them follow one another."""
        after = (ROWS - 1 - self.row).astype(np.int32)
        before = self.row[::-1].astype(np.int32)
        return [after, before, straight(after), straight(before)]


def straight(rows: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    found = np.zeros(len(rows), np.uint8)
    for i in range(len(rows) - 15):
        found[i] = (np.diff(rows[i : i + 16]) == 1).all()
    return found


def distances(width: int, seed: int = 0) -> Distances:
    rng = np.random.default_rng(seed)
    place = np.arange(-REACH, REACH + 1)
    far = np.where(abs(place) > NEAR, NEAR + (abs(place) - NEAR) // 9, abs(place))

    def table() -> F32:
        values: F32 = (rng.normal(0, 1, (ROWS, width)) / np.sqrt(width)).astype(np.float32)
        return values

    bias = rng.normal(0, 1, len(place)).astype(np.float32)
    row = (ROWS // 2 - np.sign(place) * far).clip(0, ROWS - 1)
    return Distances(bias, table(), table(), row)


def attend(
    isa: str, kind: str, rows: F32, width: int, given: Distances, *, queries: int, window: int = 5
) -> F32:
    """The kernel's outputs of the first queries; each row starts with its Q | K | V."""
    out = np.full((queries, width), np.nan, np.float32)
    pointer = [ctypes.c_void_p(rows.ctypes.data + 4 * width * i) for i in range(3)]
    turned = np.ascontiguousarray(given.keys[::-1])
    bias = (given.bias * np.float32(1.4426950408889634)).astype(np.float32)
    lists = given.pointers()

    def size(value: int) -> ctypes.c_size_t:
        return ctypes.c_size_t(value)

    def address(array: npt.NDArray[Any]) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)

    status = load_probe().probe_attention_relative(
        isa.encode(),
        *(size(n) for n in (len(rows), queries, width, rows.shape[1])),
        *pointer,
        address(out),
        *(size(n) for n in (min(KINDS.index(kind), 2), window, REACH)),
        address(bias),
        size(ROWS),
        address(turned),
        None if kind == "keys alone" else address(given.queries),
        *map(address, lists),
    )
    assert status == 0
    return out


def exact(kind: str, rows: F32, width: int, given: Distances, window: int = 5) -> F64:
    """The same in double precision, for every query."""
    q, k, v = (rows[:, i * width : (i + 1) * width].astype(np.float64) for i in range(3))
    place = np.arange(len(rows))
    distance = place[None, :] - place[:, None]
    scores = q @ k.T / np.sqrt(width)
    row = given.row[distance + REACH]
    if kind == "window":
        scores = np.where(abs(distance) <= window, scores, -np.inf)
    elif kind == "biased":
        scores = scores + given.bias[distance + REACH]
    else:
        scores = scores + (q @ given.keys.T.astype(np.float64))[place[:, None], row]
        if kind == "disentangled":
            scores = scores + (k @ given.queries.T.astype(np.float64))[place[None, :], row]
    weights = np.exp(scores - scores.max(1, keepdims=True))
    result: F64 = weights @ v / weights.sum(1, keepdims=True)
    return result


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Every path that this CPU runs."""
    return isa_or_skip(request.param)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [16, 24, 64, 72, 128])
@pytest.mark.parametrize("length", [1, 2, 6, 12, 13, 16, 17, 31, 33, 100, 128, 129, 300])
def test_attention(isa: str, kind: str, width: int, length: int) -> None:
    rng = np.random.default_rng(width + length)
    rows = rng.normal(0, 1, (length, 3 * width + 5)).astype(np.float32)
    given = distances(width)
    want = exact(kind, rows, width, given)
    out = attend(isa, kind, rows, width, given, queries=length)
    np.testing.assert_allclose(out, want, atol=1e-3)
    assert np.abs(out - want).mean() < 2e-4
    # a query's bits do not depend on its company
    alone = attend(isa, kind, rows, width, given, queries=1)
    assert alone.tobytes() == out[:1].tobytes()


@pytest.mark.parametrize("window", [1, 7, 31, 32, 33, 64, 200])
def test_windows(isa: str, window: int) -> None:
    rng = np.random.default_rng(window)
    rows = rng.normal(0, 1, (260, 3 * 64)).astype(np.float32)
    given = distances(64)
    want = exact("window", rows, 64, given, window)
    out = attend(isa, "window", rows, 64, given, queries=260, window=window)
    np.testing.assert_allclose(out, want, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["zeros", "tiny", "huge", "equal", "far keys", "signs"])
def test_edges(isa: str, kind: str, case: str) -> None:
    rng = np.random.default_rng(4)
    width, length = 64, 300
    rows = rng.normal(0, 1, (length, 3 * width)).astype(np.float32)
    if case == "zeros":
        rows[:] = 0
    elif case == "tiny":
        rows[:, : 2 * width] *= 1e-15
    elif case == "huge":
        rows *= 1e4
    elif case == "equal":  # uniform weights, all values at the end of their range
        rows[:, : 2 * width] = 0
        rows[:, 2 * width :] = 7
    elif case == "far keys":  # keys outside a window outweigh all that are in it
        rows[200:, width : 2 * width] = 50 * np.sign(rows[0, :width])
    else:  # longest sums: every number of a query, key or value at its bound
        rows[:] = np.where(rng.random((length, 1)) < 0.5, -3, 3)
    given = distances(width)
    want = exact(kind, rows, width, given)
    out = attend(isa, kind, rows, width, given, queries=length)
    assert np.isfinite(out).all()
    step = 3e-3 * max(1.0, float(np.abs(rows[:, 2 * width :]).max()))
    # where scores are in the thousands two keys close to each other may change places
    close = np.abs(out - want) <= step * (8 if case in ("far keys", "signs") else 1)
    assert close.mean() > (0.97 if case in ("huge", "far keys") else 0.999999)


def test_all_paths_give_the_same_bits() -> None:
    isas = isas_here()
    rng = np.random.default_rng(9)
    for kind in KINDS:
        for width, length in ((16, 5), (24, 33), (64, 270), (128, 40)):
            rows = rng.normal(0, 3, (length, 3 * width)).astype(np.float32)
            given = distances(width, 1)
            answers = {attend(i, kind, rows, width, given, queries=length).tobytes() for i in isas}
            assert len(answers) == 1, (kind, width)
