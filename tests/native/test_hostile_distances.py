"""Descriptions that lie about positions, windows, norms and gates: refused, with a line each."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanbert.engines.native.binding import LayerRecord, ModelRecord, TensorRecord
from tests.helpers.native_families import deberta, modernbert, mpnet
from tests.helpers.native_library import (
    INVALID_ARGUMENT,
    INVALID_MODEL,
    UNSUPPORTED,
    Encoder,
    NativeError,
    describe,
)
from tests.helpers.native_models import random_model, random_texts

Change = Callable[[ModelRecord], None]


def edit(path: str, **values: int) -> Change:
    """A change of a record's numbers, `path` as in "layers[0].position_key"; "" is the model."""

    def change(record: ModelRecord) -> None:
        target: Any = record
        for part in path.replace("[", ".").replace("]", "").split(".") if path else ():
            target = target[int(part)] if part.isdigit() else getattr(target, part)
        for name, value in values.items():
            setattr(target, name, value)

    return change


def without(path: str, name: str) -> Change:
    """A record of zeros in a place."""

    def change(record: ModelRecord) -> None:
        target: Any = record
        for part in path.replace("[", ".").replace("]", "").split(".") if path else ():
            target = target[int(part)] if part.isdigit() else getattr(target, part)
        setattr(target, name, type(getattr(target, name))())

    return change


def bucket(i: int, value: int) -> Change:
    """Another row for one distance."""

    def change(record: ModelRecord) -> None:
        record.relative_buckets[i] = value

    return change


def no_tables(name: str) -> Change:
    """Both rotary tables of a kind are absent."""
    return lambda record: setattr(record, name, (TensorRecord * 2)())


def rotary_beside_buckets(record: ModelRecord) -> None:
    """Tables of a legal shape, made of other tensors' bytes, in a model with relative positions."""
    half = record.hidden_size // record.num_attention_heads // 2
    shape = (record.max_positions * half * 4, 2, record.max_positions, half, 0)
    record.rotary_cos[0] = TensorRecord(0, *shape)
    record.rotary_sin[0] = TensorRecord(0, *shape)


CASES: list[tuple[str, Any, int, Change, str]] = [
    ("flag", None, UNSUPPORTED, edit("", pre_norm=2), "pre_norm"),
    ("gate", None, UNSUPPORTED, edit("", gated=7), "gated"),
    ("gate without columns", None, INVALID_MODEL, edit("", gated=1), "ffn_up"),
    ("columns without gate", modernbert, INVALID_MODEL, edit("", gated=0), "ffn_up"),
    ("no final norm", modernbert, INVALID_MODEL, without("", "final_norm"), "final norm"),
    ("final norm alone", modernbert, INVALID_MODEL, edit("", pre_norm=0), "final norm"),
    ("no norm", None, INVALID_MODEL, without("layers[1]", "attention_norm"), "attention_norm"),
    ("no second norm", modernbert, INVALID_MODEL, without("layers[1]", "ffn_norm"), "ffn_norm"),
    ("half a norm", modernbert, INVALID_MODEL, edit("layers[1].ffn_norm.beta", rows=1), "beta"),
    ("window", modernbert, INVALID_MODEL, edit("layers[1]", window=65537), "1: window"),
    ("window huge", modernbert, INVALID_MODEL, edit("layers[1]", window=2**32 - 1), "1: window"),
    ("window of buckets", mpnet, UNSUPPORTED, edit("layers[0]", window=3), "0: a window"),
    ("rotary", modernbert, INVALID_MODEL, edit("layers[0]", rotary=3), "0: rotary"),
    ("rotary huge", modernbert, INVALID_MODEL, edit("layers[0]", rotary=2**32 - 1), "rotary"),
    ("rotary without tables", None, INVALID_MODEL, edit("layers[0]", rotary=1), "0: rotary"),
    ("no sines", modernbert, INVALID_MODEL, no_tables("rotary_sin"), "rotary sines"),
    ("no cosines", modernbert, INVALID_MODEL, no_tables("rotary_cos"), "position embedding"),
    ("short table", modernbert, INVALID_MODEL, edit("rotary_cos[1]", rows=511), "rotary cosines"),
    ("wide table", modernbert, INVALID_MODEL, edit("rotary_sin[0]", cols=9), "rotary sines"),
    ("more positions", modernbert, INVALID_MODEL, edit("", max_positions=513), "rotary cosines"),
    ("table beyond", modernbert, INVALID_MODEL, edit("rotary_sin[1]", offset=2**40), "beyond"),
    ("rotary of buckets", mpnet, UNSUPPORTED, rotary_beside_buckets, "rotary tables"),
    ("even", mpnet, INVALID_MODEL, edit("", num_relative_buckets=40), "num_relative_buckets"),
    ("many", mpnet, INVALID_MODEL, edit("", num_relative_buckets=2**32 - 1), "num_relative"),
    ("no buckets", mpnet, INVALID_MODEL, edit("", num_relative_buckets=0), "buckets"),
    ("no table of buckets", mpnet, INVALID_MODEL, without("", "relative_buckets"), "NULL"),
    ("no bias", mpnet, INVALID_MODEL, without("", "relative_bias"), "either a bias or tables"),
    ("bucket", mpnet, INVALID_MODEL, bucket(3, 28), "relative_buckets[3] is 28"),
    ("bucket huge", mpnet, INVALID_MODEL, bucket(40, 2**32 - 1), "relative_buckets[40]"),
    ("bias of no rows", mpnet, UNSUPPORTED, edit("relative_bias", rows=0), "0 relative"),
    ("bias of many rows", mpnet, UNSUPPORTED, edit("relative_bias", rows=65537), "65537"),
    ("bias of a row more", mpnet, INVALID_MODEL, edit("relative_bias", rows=29), "relative bias"),
    ("bias of other heads", mpnet, INVALID_MODEL, edit("relative_bias", cols=3), "relative bias"),
    ("bias int8", mpnet, INVALID_MODEL, edit("relative_bias", dtype=1), "relative bias"),
    ("rising", deberta, UNSUPPORTED, bucket(3, 0), "relative_buckets[4]"),
    ("row", deberta, INVALID_MODEL, bucket(0, 50), "relative_buckets[0] is 50"),
    ("no first table", deberta, INVALID_MODEL, without("layers[0]", "position_key"), "tables"),
    ("no table", deberta, INVALID_MODEL, without("layers[1]", "position_key"), "1: position_key"),
    ("rows", deberta, INVALID_MODEL, edit("layers[1].position_key", rows=49), "1: position_key"),
    ("rows of q", deberta, INVALID_MODEL, edit("layers[0].position_query", rows=9), "position_q"),
    ("many rows", deberta, UNSUPPORTED, edit("layers[0].position_key", rows=4097), "4097"),
    ("columns", deberta, INVALID_MODEL, edit("layers[0].position_key", cols=32), "position_key"),
    ("beyond", deberta, INVALID_MODEL, edit("layers[1].position_query", offset=2**50), "beyond"),
    (
        "tables beside no buckets",
        modernbert,
        INVALID_MODEL,
        edit("layers[1].position_key", dtype=2, rows=1),
        "position_key",
    ),
]


@pytest.mark.parametrize(
    ("extend", "status", "change", "word"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_wrong_distances(extend: Any, status: int, change: Change, word: str) -> None:
    description = describe(random_model(1, extend=extend))
    change(description.record)
    with pytest.raises(NativeError) as caught:
        Encoder(description)
    assert word in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.status == status


def test_a_norm_without_a_dense_matmul_is_not_dropped() -> None:
    model = random_model(1, head="every_token", head_norm=True)
    with pytest.raises(NativeError, match="norm without a dense") as caught:
        Encoder(describe(model))
    assert caught.value.status == UNSUPPORTED


@settings(max_examples=150)
@given(data=st.data(), extend=st.sampled_from([mpnet, modernbert, deberta]))
def test_any_bytes_in_the_description(data: st.DataObject, extend: Any) -> None:
    """Random changes of the new numbers (not of pointers): opens or says why, and then runs."""
    description = describe(random_model(2, extend=extend, positions=64))
    record = description.record
    start = ModelRecord.pre_norm.offset
    layer = LayerRecord.position_key.offset
    regions = [
        (ctypes.addressof(record) + start, ModelRecord.num_layers.offset - start),
        *(
            (ctypes.addressof(of_layer) + layer, ctypes.sizeof(LayerRecord) - layer)
            for of_layer in description.layers
        ),
        (ctypes.addressof(description.buckets), ctypes.sizeof(description.buckets)),
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        base, size = data.draw(st.sampled_from([region for region in regions if region[1]]))
        where = data.draw(st.integers(0, size // 4 - 1)) * 4
        value = data.draw(
            st.sampled_from([0, 1, 2, 3, 31, 49, 64, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
        )
        ctypes.memmove(base + where, value.to_bytes(4, "little"), 4)
    try:
        encoder = Encoder(description)
    except NativeError as error:
        assert error.message
        return
    try:
        encoder.run(random_texts(np.random.default_rng(0), [1, 20, 64]))
    except NativeError as error:
        assert error.status == INVALID_ARGUMENT
