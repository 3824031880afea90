"""The native encoder against numpy: every architecture; the same bits in any company."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.native_families import (
    deberta,
    deberta_keys_alone,
    deberta_near,
    modernbert,
    mpnet,
    nomic,
)
from tests.helpers.native_library import ISAS, Encoder, describe, isa_or_skip, isas_here
from tests.helpers.native_models import F64, random_model, random_texts
from tests.helpers.native_reference import reference

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"position_offset": 2, "types": 1, "positions": 130},
    "distilbert": {
        "types": 0,
        "head": "first_token",
        "head_dense": True,
        "head_activation": "relu",
    },
    "albert": {"shared": True, "embedding": 32, "activation": "gelu_tanh", "layers": 3},
    "electra": {
        "embedding": 32,
        "head": "first_token",
        "head_dense": True,
        "head_activation": "gelu",
    },
    "relu": {"activation": "relu", "bias": False, "int8_position": True},
    "pooler": {
        "head": "first_token",
        "head_dense": True,
        "head_activation": "tanh",
        "labels": 5,
    },
    "first token alone": {"head": "first_token", "labels": 40},
    "every token": {"head": "every_token", "labels": 9},
    "every token, dense and norm": {
        "head": "every_token",
        "head_dense": True,
        "head_activation": "gelu",
        "head_norm": True,
        "labels": 33,
    },
    "masked words": {
        "head": "every_token",
        "head_dense": True,
        "head_activation": "gelu",
        "head_norm": True,
        "vocabulary_head": True,
        "smoothing": True,
        "labels": 77,  # neither a panel nor half of one
    },
    "masked words, narrow embeddings": {
        "embedding": 32,
        "head": "every_token",
        "head_dense": True,
        "head_activation": "gelu_tanh",
        "head_norm": True,
        "vocabulary_head": True,
        "labels": 100,
    },
    "words without a dense layer": {
        "head": "every_token",
        "vocabulary_head": True,
        "labels": 3,
    },
    "one layer": {"layers": 1, "head": "first_token"},
    "mean alone": {"head": "mean", "labels": 5},
    "mean, dense and norm": {
        "head": "mean",
        "head_dense": True,
        "head_activation": "gelu",
        "head_norm": True,
        "smoothing": True,
    },
    "smoothing": {"smoothing": True, "embedding": 32, "head": "every_token", "head_dense": True},
    "query apart": {"query": True},
    "smoothing, query apart, its bias alone": {
        "smoothing": True,
        "query": True,
        "query_bias": True,
        "head": "first_token",
        "head_dense": True,
        "head_activation": "tanh",
    },
    "query apart, shared layers": {
        "smoothing": True,
        "shared": True,
        "query": True,
        "layers": 3,
        "head": "first_token",
    },
    "query's bias alone": {"query_bias": True, "layers": 1},
    "heads of 16": {"hidden": 96, "heads": 6, "intermediate": 384},
    "heads of 24": {"hidden": 96, "heads": 4},
    "heads of 40": {"hidden": 160, "heads": 4, "intermediate": 160},
    "heads of 48": {"hidden": 96, "heads": 2},
    "heads of 64": {"hidden": 128, "heads": 2, "intermediate": 512},
    "heads of 80": {"hidden": 160, "heads": 2},
    "heads of 128": {"hidden": 128, "heads": 1},
    "mpnet": {"types": 0, "position_offset": 2, "extend": mpnet},
    "mpnet, first token, heads of 64": {
        "hidden": 128,
        "heads": 2,
        "types": 0,
        "extend": mpnet,
        "query": True,
        "head": "first_token",
        "head_dense": True,
        "head_activation": "tanh",
    },
    "modernbert": {"types": 0, "bias": False, "extend": modernbert, "layers": 4},
    "modernbert, first token": {
        "types": 0,
        "bias": False,
        "extend": modernbert,
        "smoothing": True,
        "query": True,
        "head": "first_token",
        "head_dense": True,
        "head_activation": "gelu",
        "head_norm": True,
        "hidden": 96,
        "heads": 4,
        "layers": 2,
    },
    "modernbert, masked words, heads of 64": {
        "types": 0,
        "bias": False,
        "extend": modernbert,
        "hidden": 128,
        "heads": 2,
        "head": "every_token",
        "head_dense": True,
        "head_activation": "gelu",
        "head_norm": True,
        "vocabulary_head": True,
        "labels": 77,
    },
    "modernbert, wide window": {
        "types": 0,
        "extend": partial(modernbert, window=40),
        "embedding": 32,
        "layers": 2,
    },
    "nomic": {"extend": nomic, "activation": "silu", "bias": False},
    "deberta": {"types": 0, "extend": deberta, "layers": 2},
    "deberta, first token, heads of 64": {
        "hidden": 128,
        "heads": 2,
        "types": 0,
        "extend": deberta,
        "smoothing": True,
        "head": "first_token",
        "head_dense": True,
        "head_activation": "gelu",
        "query": True,
    },
    "deberta, keys alone": {"types": 0, "extend": deberta_keys_alone, "hidden": 96, "heads": 4},
    "deberta, a row for each distance": {"types": 0, "extend": deberta_near},
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("int8", [True, False], ids=["int8", "f32"])
def test_answers_as_numpy_does(isa: str, name: str, int8: bool) -> None:
    isa_or_skip(isa)
    model = random_model(7, int8=int8, **ARCHITECTURES[name])
    rng = np.random.default_rng(1)
    texts = random_texts(rng, [1, 2, 15, 16, 17, 33, 100])
    types = None
    if model.token_type is not None:
        types = [rng.integers(0, len(model.token_type), len(t)).astype(np.int32) for t in texts]

    def answers(*, quantized: bool) -> F64:
        each = (
            reference(model, t, None if types is None else types[i], quantized=quantized)
            for i, t in enumerate(texts)
        )
        return np.concatenate([answer.ravel() for answer in each])

    expected, exact = answers(quantized=True), answers(quantized=False)
    for threads in (1, 2):
        encoder = Encoder(describe(model, threads=threads), isa)
        assert encoder.isa == isa
        got = np.concatenate([answer.ravel() for answer in encoder.run(texts, types)])
        error = np.abs(got - expected)
        # In f32 only rounding and the polynomials are left, and attention's 16 bits where it knows
        # distances; int8 words round once more, and a sum that is not normalized adds up.
        step = 0.16 if "words" in name or "modernbert" in name else 0.08
        assert error.max() < (step if int8 else 1e-3 if "extend" in ARCHITECTURES[name] else 5e-4)
        if not int8:
            assert error.mean() < (2e-4 if "extend" in ARCHITECTURES[name] else 5e-5)
            continue
        # A number on the edge of a quantization step may fall on either side, and one that did
        # moves all behind it: two sound encoders differ by about as much as each differs from the
        # same weights with unquantized activations. What counts is that ours is no further off.
        loss, reference_loss = np.abs(got - exact).mean(), np.abs(expected - exact).mean()
        assert loss < 1.1 * reference_loss
        assert error.mean() < 1.5 * reference_loss  # independent roundings: sqrt(2)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("extend", "layers", "atol"),
    [(None, 1, 5e-4), (mpnet, 1, 1e-3), (modernbert, 2, 1e-3), (deberta, 1, 1e-3)],
    ids=["bert", "mpnet", "modernbert", "deberta"],
)
def test_text_of_every_length(isa: str, extend: Any, layers: int, atol: float) -> None:
    isa_or_skip(isa)
    model = random_model(3, layers=layers, int8=False, positions=140, extend=extend)
    encoder = Encoder(describe(model, threads=2), isa)
    texts = random_texts(np.random.default_rng(2), range(1, 141))
    for text, got in zip(texts, encoder.run(texts), strict=True):
        np.testing.assert_allclose(got, reference(model, text), atol=atol)


@pytest.mark.parametrize("isa", ISAS)
def test_text_longer_than_any_block_of_distances(isa: str) -> None:
    """DeBERTa's key terms are computed for 128 queries at a time, and its far distances share."""
    isa_or_skip(isa)
    for extend in (deberta, deberta_near, partial(modernbert, window=64)):
        model = random_model(4, layers=2, int8=False, extend=extend)
        (text,) = random_texts(np.random.default_rng(2), [509])
        (got,) = Encoder(describe(model), isa).run([text])
        np.testing.assert_allclose(got, reference(model, text), atol=2e-3)


HEAD: dict[str, Any] = {"head": "first_token", "head_dense": True, "head_activation": "tanh"}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    "kwargs",
    [
        *({}, HEAD, {"head": "every_token"}, {**HEAD, "smoothing": True, "query": True}),
        {**HEAD, "extend": mpnet},
        {"head": "every_token", "extend": modernbert},
        {**HEAD, "head": "mean", "extend": modernbert, "head_norm": True},
        {**HEAD, "extend": modernbert, "query": True, "head_norm": True},
        {"head": "every_token", "extend": deberta},
        {**HEAD, "extend": deberta, "query": True},
    ],
    ids=[
        *("hidden", "first", "every", "query apart"),
        *("mpnet", "modernbert", "modernbert, mean", "modernbert, first"),
        *("deberta", "deberta, first"),
    ],
)
@settings(max_examples=12)
@given(data=st.data())
def test_same_bits_in_any_company(isa: str, kwargs: dict[str, Any], data: st.DataObject) -> None:
    isa_or_skip(isa)
    model = random_model(5, hidden=96, heads=3, layers=2, **kwargs)
    alone = Encoder(describe(model, threads=1), isa)
    lengths = data.draw(st.lists(st.integers(1, 512) | st.integers(1, 20), min_size=1, max_size=9))
    texts = random_texts(np.random.default_rng(len(lengths)), lengths)
    expected = [alone.run([text])[0].tobytes() for text in texts]
    order = data.draw(st.permutations(range(len(texts))))
    for threads in (1, 2, 4):
        encoder = Encoder(describe(model, threads=threads), isa)
        got = encoder.run([texts[i] for i in order])
        assert [g.tobytes() for g in got] == [expected[i] for i in order]


def test_all_paths_give_the_same_bits() -> None:
    isas = isas_here()
    for name, kwargs in ARCHITECTURES.items():
        model = random_model(11, **kwargs)
        texts = random_texts(np.random.default_rng(3), [1, 7, 64, 121])
        answers = {
            b"".join(a.tobytes() for a in Encoder(describe(model, threads=2), isa).run(texts))
            for isa in isas
        }
        assert len(answers) == 1, name


@pytest.mark.parametrize("isa", ISAS)
def test_many_callers_get_right_answers(isa: str) -> None:
    isa_or_skip(isa)
    model = random_model(6, **HEAD)
    encoder = Encoder(describe(model, threads=2), isa)
    texts = random_texts(np.random.default_rng(4), [3, 40, 90, 12, 7, 128, 5, 64])
    expected = [a.tobytes() for a in encoder.run(texts)]
    wrong: list[int] = []

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(40):
            chosen = rng.permutation(len(texts))[: rng.integers(1, 9)]
            got = encoder.run([texts[i] for i in chosen])
            if [g.tobytes() for g in got] != [expected[i] for i in chosen]:
                wrong.append(seed)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_forked_child_keeps_working() -> None:
    model = random_model(8, **HEAD)
    encoder = Encoder(describe(model, threads=2))
    texts = random_texts(np.random.default_rng(5), [30, 50])
    expected = [a.tobytes() for a in encoder.run(texts)]  # the workers exist
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        status = 1
        try:
            good = all([a.tobytes() for a in encoder.run(texts)] == expected for _ in range(20))
            encoder.close()
            status = 0 if good else 1
        finally:
            os._exit(status)
    for _ in range(20):
        assert [a.tobytes() for a in encoder.run(texts)] == expected
    assert os.waitpid(child, 0)[1] == 0


KEPT: dict[str, dict[str, Any]] = {
    "int8": {"int8_position": True},
    "float32": {"int8": False},
    "shared layers": {"shared": True, "layers": 3, "embedding": 32},
    "no types": {"types": 0, **HEAD},
    "mpnet": {"extend": mpnet},
    "modernbert": {"extend": modernbert},
    "deberta": {"extend": deberta},
}


@pytest.mark.parametrize("how", ["removed", "cut short", "overwritten"])
@pytest.mark.parametrize("name", KEPT)
def test_nothing_that_happens_to_the_file_later_matters(
    tmp_path: Path, name: str, how: str
) -> None:
    model = random_model(9, **{"hidden": 256, "vocabulary": 300, **KEPT[name]})
    texts = random_texts(np.random.default_rng(6), [4, 20], vocabulary=300)
    expected = Encoder(describe(model, threads=2)).run(texts)
    path = tmp_path / "model.onnx.data"
    encoder = Encoder(describe(model, threads=2, path=path))
    if how == "removed":
        path.unlink()
    elif how == "cut short":
        os.truncate(path, 0)
    else:
        with path.open("r+b") as file:
            file.write(b"\x55" * path.stat().st_size)
    child = os.fork()  # a mapped file that was cut short would end this process
    if child == 0:  # pragma: no cover - in the child
        status = 1
        try:
            found = [answer.tobytes() for answer in encoder.run(texts)]
            status = 0 if found == [answer.tobytes() for answer in expected] else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(path) not in maps.read_text(encoding="utf-8")


@pytest.mark.parametrize("distance", [4096, -4096])
def test_weights_that_overlap_are_read_whole(tmp_path: Path, distance: int) -> None:
    """No export writes such a layout; no weight may miss the pages that another gave back."""
    model = random_model(9, hidden=256, layers=3)
    texts = random_texts(np.random.default_rng(6), [4, 20])
    answers = []
    for path in (None, tmp_path / "model.onnx.data"):
        description = describe(model, threads=2, path=path)
        first, last = description.layers[0].ffn_up.weight, description.layers[2].ffn_up.weight
        last.offset = first.offset + distance
        answers.append([a.tobytes() for a in Encoder(description).run(texts)])
    assert answers[0] == answers[1]


def test_nothing_to_do() -> None:
    assert Encoder(describe(random_model(1))).run([]) == []
