"""Each kernel of each path against numpy: integer sums to the last bit, floats to stated errors.

Shapes lie around the register blocks (14 x 32 rows and columns on AVX-512, 6 x 16 elsewhere).
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanbert.engines.native.layout import ACTIVATIONS
from tests.helpers.native_library import ISAS, isa_or_skip, isas_here, load_probe
from tests.helpers.native_models import F32, F64
from tests.helpers.native_reference import activate

PLAIN, RESIDUAL, ACTIVATED = range(3)


def probe(name: str, isa: str, *arguments: Any) -> None:
    """Calls a function of the probe library."""
    library = load_probe()
    converted: list[Any] = [isa.encode()]
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            assert argument.flags.c_contiguous
            converted.append(ctypes.c_void_p(argument.ctypes.data))
        elif isinstance(argument, float):
            converted.append(ctypes.c_float(argument))
        elif argument is None:
            converted.append(None)
        else:
            converted.append(ctypes.c_size_t(argument))
    assert library[name](*converted) == 0


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Every path that this CPU runs."""
    return isa_or_skip(request.param)


def matmul(
    isa: str,
    rows: int,
    k: int,
    n: int,
    *,
    extreme: bool = False,
    store: int = PLAIN,
    activation: str = "identity",
    panels: tuple[int, int] | None = None,
) -> tuple[F32, F32, npt.NDArray[np.float64], F32]:
    """A matmul: what came out, the rows' ranges, the expected values, what was there before."""
    rng = np.random.default_rng(rows * 1000 + k + n)
    q = rng.integers(0, 256, (rows, k)).astype(np.uint8)
    weight = rng.integers(-127, 128, (k, n)).astype(np.int8)
    zero = rng.integers(0, 256, rows).astype(np.int32)
    if extreme:  # the numbers that saturate 16 bits
        q[:] = 255
        weight[:] = np.where(np.arange(n) % 2, -128, 127)
        zero[::2] = 0
    one = np.float32(1)
    row_scale = np.full(rows, one) if store == PLAIN else np.full(rows, np.float32(1e-3))
    scale = np.full(n, one)
    bias = np.zeros(n, np.float32) if store == PLAIN else rng.normal(0, 1, n).astype(np.float32)
    before = rng.normal(0, 1, (rows, n)).astype(np.float32)
    out, ranges = before.copy(), np.zeros((rows, 32), np.float32)
    first, last = panels or (0, n // 32)
    probe(
        "probe_matmul",
        isa,
        *(rows, k, n, q, row_scale, zero, weight, scale, bias),
        *(store, ACTIVATIONS[activation], first, last, out, ranges),
    )
    sums = (q.astype(np.int64) - zero[:, None]) @ weight.astype(np.int64)
    return out, ranges, sums * row_scale[:, None].astype(np.float64) * scale + bias, before


@pytest.mark.parametrize("rows", [*range(1, 17), 27, 28, 29, 42, 64])
def test_integer_sums_are_exact(isa: str, rows: int) -> None:
    out, _, want, _ = matmul(isa, rows, 96, 64)
    np.testing.assert_array_equal(out, want.astype(np.float32))  # below 2^24: exact in f32


@pytest.mark.parametrize(("k", "n"), [(32, 32), (64, 96), (128, 32), (768, 160), (3072, 64)])
def test_nothing_saturates(isa: str, k: int, n: int) -> None:
    for extreme in (False, True):
        out, _, want, _ = matmul(isa, 15, k, n, extreme=extreme)
        np.testing.assert_array_equal(out, want.astype(np.float32))


def test_only_the_given_columns_are_written(isa: str) -> None:
    out, _, want, before = matmul(isa, 9, 64, 128, panels=(1, 3))
    np.testing.assert_array_equal(out[:, 32:96], want[:, 32:96].astype(np.float32))
    np.testing.assert_array_equal(out[:, :32], before[:, :32])
    np.testing.assert_array_equal(out[:, 96:], before[:, 96:])


def test_residual_is_added(isa: str) -> None:
    out, _, want, before = matmul(isa, 16, 64, 64, store=RESIDUAL)
    np.testing.assert_allclose(out, want + before, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
def test_activation_and_range(isa: str, activation: str) -> None:
    out, ranges, want, _ = matmul(isa, 17, 64, 96, store=ACTIVATED, activation=activation)
    # beyond +-4.5 the fit leaves up to 8e-6 of the input
    assert (np.abs(out - activate(want, activation)) <= 1e-4 + 2e-5 * np.abs(want)).all()
    np.testing.assert_array_equal(ranges[:, :16].min(1), np.minimum(out.min(1), 0))
    np.testing.assert_array_equal(ranges[:, 16:].max(1), np.maximum(out.max(1), 0))


@pytest.mark.parametrize("rows", [1, 5, 6, 7, 12, 13, 25])
@pytest.mark.parametrize("n", [1, 3, 31, 32, 33, 64])
def test_f32_matmul(isa: str, rows: int, n: int) -> None:
    rng = np.random.default_rng(rows + n)
    k, columns = 96, -(-n // 32) * 32
    x, weight = (rng.normal(0, 1, s).astype(np.float32) for s in ((rows, k), (k, n)))
    bias = np.zeros(columns, np.float32)
    bias[:n] = rng.normal(0, 1, n)
    out = np.zeros((rows, columns), np.float32)
    probe("probe_matmul_f32", isa, rows, k, n, x, weight, bias, out)
    want = x.astype(np.float64) @ weight + bias[:n]
    np.testing.assert_allclose(
        out[:, :n], want, atol=96 * 6e-8 * np.abs(x).max() * np.abs(weight).max() * 8
    )


@pytest.mark.parametrize("n", [32, 96, 768, 3072])
def test_quantize(isa: str, n: int) -> None:
    rng = np.random.default_rng(n)
    for low, high in ((-3, 5), (0.5, 2), (-2, -1), (0, 0), (-1e-30, 1e-30), (-1e30, 1e30)):
        x = rng.uniform(low, high, n).astype(np.float32)
        q, scale, zero = np.zeros(n, np.uint8), np.zeros(1, np.float32), np.zeros(1, np.int32)
        probe("probe_quantize", isa, n, x, None, q, scale, zero)
        want = max((max(x.max(), 0) - min(x.min(), 0)) / 255, np.float32(1e-20))
        assert scale[0] == pytest.approx(want, rel=1e-6)
        assert 0 <= zero[0] <= 255
        restored = (q.astype(np.float64) - zero[0]) * scale[0]
        assert np.abs(restored - x).max() <= 1.01 * scale[0]
        assert np.abs(restored - x).mean() <= 0.6 * scale[0]


def test_smoothing_multiplies_what_is_quantized(isa: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 96).astype(np.float32)
    smoothing = rng.uniform(0.1, 10, 96).astype(np.float32)
    got, want = (
        (np.zeros(96, np.uint8), np.zeros(1, np.float32), np.zeros(1, np.int32)) for _ in range(2)
    )
    probe("probe_quantize", isa, 96, x, smoothing, *got)
    probe("probe_quantize", isa, 96, x * smoothing, None, *want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [32, 64, 96, 768, 1024])
def test_layer_norm(isa: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(3, 10, n).astype(np.float32)
    gamma, beta = (rng.normal(0, 1, n).astype(np.float32) for _ in range(2))
    out = x.copy()
    probe("probe_layer_norm", isa, n, out, gamma, beta, 1e-12)
    wide = x.astype(np.float64)
    want = (wide - wide.mean()) / wide.std() * gamma + beta
    np.testing.assert_allclose(out, want, atol=5e-6 * (1 + np.abs(want).max()))


@pytest.mark.parametrize(
    ("activation", "error"),
    [("gelu", 2.6e-5), ("gelu_tanh", 2.2e-5), ("tanh", 3e-7), ("relu", 0), ("silu", 3e-6)],
)
def test_activations_have_the_stated_error(isa: str, activation: str, error: float) -> None:
    x = np.concatenate(
        [np.linspace(-12, 12, 160_000), np.linspace(-100, 100, 1_600), [0.0, -0.0] * 8]
    ).astype(np.float32)
    out = x.copy()
    probe("probe_activate", isa, len(x), out, ACTIVATIONS[activation])
    want = activate(x.astype(np.float64), activation)
    inside = np.abs(x) <= 12
    assert np.abs(out - want)[inside].max() <= error
    # outside gelu is x, or 0, up to rounding
    assert (np.abs(out - want)[~inside] <= error + 1e-5 * np.abs(x[~inside])).all()


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_gelu_keeps_zeros_infinity_and_nan(isa: str, activation: str) -> None:
    x = np.array([0.0, -0.0, np.inf, np.nan, -np.nan, 1e30, -1e30, -np.inf] * 2, np.float32)
    out = x.copy()
    probe("probe_activate", isa, len(x), out, ACTIVATIONS[activation])
    assert (out[:3] == [0, 0, np.inf]).all()
    assert np.isnan(out[3:5]).all()
    assert out[5] == np.float32(1e30)
    assert (np.abs(out[6:8]) < 1e-6).all()
    np.testing.assert_array_equal(out[:8], out[8:])


def attend(isa: str, rows: F32, width: int, queries: int, *, int16: bool) -> F32:
    """Attention of one head; each row starts with its Q | K | V."""
    out = np.full((queries, width), np.nan, np.float32)
    sizes = [ctypes.c_size_t(v) for v in (len(rows), queries, width, rows.shape[1])]
    parts = [ctypes.c_void_p(rows.ctypes.data + 4 * width * i) for i in range(3)]
    status = load_probe().probe_attention(
        isa.encode(), *sizes, *parts, ctypes.c_void_p(out.ctypes.data), ctypes.c_size_t(int16)
    )
    assert status == 0
    return out


def exact_attention(rows: F32 | F64, width: int) -> F64:
    """The same in double precision, for every query."""
    q, k, v = (rows[:, i * width : (i + 1) * width].astype(np.float64) for i in range(3))
    scores = q @ k.T / np.sqrt(width)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    result: F64 = weights @ v / weights.sum(1, keepdims=True)
    return result


WIDTHS = [16, 24, 32, 40, 48, 64, 72, 80, 96, 112, 128]
LENGTHS = [1, 2, 6, 7, 12, 13, 16, 17, 31, 32, 33, 100, 512]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("length", LENGTHS)
def test_attention(isa: str, width: int, length: int) -> None:
    rng = np.random.default_rng(width + length)
    rows = rng.normal(0, 2, (length, 3 * width + 5)).astype(np.float32)
    want = exact_attention(rows, width)
    for queries in {1, length}:
        out = attend(isa, rows, width, queries, int16=False)
        np.testing.assert_allclose(out, want[:queries], atol=2e-5)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("length", LENGTHS)
def test_int16_attention(isa: str, width: int, length: int) -> None:
    rng = np.random.default_rng(width + length)
    rows = rng.normal(0, 1, (length, 3 * width + 5)).astype(np.float32)
    want = exact_attention(rows, width)
    out = attend(isa, rows, width, length, int16=True)
    np.testing.assert_allclose(out, want, atol=1e-3)
    assert np.abs(out - want).mean() < 2e-4
    # a query's bits do not depend on its company
    assert attend(isa, rows, width, 1, int16=True).tobytes() == out[:1].tobytes()


@pytest.mark.parametrize("length", [16, 128, 512])
@pytest.mark.parametrize("gain", [1, 2, 4])
def test_int16_attention_errs_far_less_than_int8_inputs(isa: str, length: int, gain: int) -> None:
    """Next to what quantizing the inputs of Q, K and V to 8 bits does to the same outputs.

    Inputs have two columns twelve times as large as the others, as a BERT's have; `gain` is the
    scores' standard deviation.
    """
    rng = np.random.default_rng(length)
    x = rng.normal(0, 1, (length, 768))
    x[:, [5, 300]] *= 12
    weight = rng.normal(0, 1 / np.sqrt(768 + 2 * 144), (768, 192))
    weight[:, :128] *= np.sqrt(gain)
    rows = (x @ weight).astype(np.float32)
    low, high = np.minimum(x.min(1), 0)[:, None], np.maximum(x.max(1), 0)[:, None]
    scale = (high - low) / 255
    rounded = (np.rint(x / scale) * scale) @ weight
    want = exact_attention(rows, 64)
    error = np.abs(attend(isa, rows, 64, length, int16=True) - want)
    of_int8 = np.abs(exact_attention(rounded, 64) - want)
    assert error.mean() < of_int8.mean() / 50
    assert error.max() < of_int8.max() / 20


@pytest.mark.parametrize("kind", ["zeros", "tiny", "huge", "equal", "one key", "signs"])
def test_int16_attention_at_the_edges(isa: str, kind: str) -> None:
    rng = np.random.default_rng(4)
    width, length = 64, 512
    rows = rng.normal(0, 1, (length, 3 * width)).astype(np.float32)
    if kind == "zeros":
        rows[:] = 0
    elif kind == "tiny":
        rows[:, : 2 * width] *= 1e-15
    elif kind == "huge":
        rows *= 1e6
    elif kind == "equal":  # uniform weights, all values at the end of their range
        rows[:, : 2 * width] = 1
        rows[:, 2 * width :] = 7
    elif kind == "one key":
        rows[:, width : 2 * width] = 0
        rows[100, width : 2 * width] = 50 * np.sign(rows[0, :width])
    else:  # longest sums: every product of a score and of a value at its bound
        rows[:] = np.where(rng.random((length, 1)) < 0.5, -3, 3)
    want = exact_attention(rows, width)
    out = attend(isa, rows, width, length, int16=True)
    # "one key": scores of up to 200 magnify a query's rounding
    step = 1e-2 if kind == "one key" else 1e-3
    close = np.abs(out - want) <= step * max(1.0, float(np.abs(rows[:, 2 * width :]).max()))
    # "huge": one key wins, and two close to each other may change places
    assert close.mean() > (0.98 if kind == "huge" else 0.999999)


def test_int16_attention_of_all_paths_is_the_same() -> None:
    isas = isas_here()
    rng = np.random.default_rng(9)
    for width, length in ((16, 5), (24, 33), (64, 130), (128, 40)):
        rows = rng.normal(0, 3, (length, 3 * width)).astype(np.float32)
        assert len({attend(isa, rows, width, length, int16=True).tobytes() for isa in isas}) == 1
