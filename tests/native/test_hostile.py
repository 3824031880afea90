"""Descriptions and calls that lie: each gets a status and a line, none reads out of bounds."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanbert.engines.native.binding import ModelRecord
from tests.helpers.native_library import (
    INVALID_ARGUMENT,
    INVALID_MODEL,
    IO,
    NO_ISA,
    OK,
    UNSUPPORTED,
    Description,
    Encoder,
    NativeError,
    describe,
    load_library,
)
from tests.helpers.native_models import random_model, random_texts


def refused(description: Description) -> NativeError:
    """The error that opening gives."""
    with pytest.raises(NativeError) as caught:
        Encoder(description)
    assert caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


def set_field(name: str, value: int | float) -> Callable[[ModelRecord], None]:
    """A change of one number of the description."""
    return lambda record: setattr(record, name, value)


CHANGES: list[tuple[str, int, Callable[[ModelRecord], None], str]] = [
    ("struct", INVALID_ARGUMENT, set_field("struct_size", 8), "lb_model_desc"),
    ("layer struct", INVALID_ARGUMENT, set_field("layer_size", 8), "lb_layer"),
    ("threads", INVALID_MODEL, set_field("threads", 0), "threads"),
    ("many threads", INVALID_MODEL, set_field("threads", 65), "threads"),
    ("hidden 0", INVALID_MODEL, set_field("hidden_size", 0), "hidden_size"),
    ("hidden odd", UNSUPPORTED, set_field("hidden_size", 100), "hidden_size"),
    ("hidden huge", UNSUPPORTED, set_field("hidden_size", 2**32 - 32), "hidden_size"),
    ("hidden other", INVALID_MODEL, set_field("hidden_size", 128), "embedding_size"),
    ("heads 0", INVALID_MODEL, set_field("num_attention_heads", 0), "num_attention_heads"),
    ("heads odd", INVALID_MODEL, set_field("num_attention_heads", 3), "num_attention_heads"),
    ("heads small", UNSUPPORTED, set_field("num_attention_heads", 8), "head"),
    ("intermediate", UNSUPPORTED, set_field("intermediate_size", 100), "intermediate_size"),
    ("intermediate other", INVALID_MODEL, set_field("intermediate_size", 128), "layer 0: ffn_up"),
    ("embedding", UNSUPPORTED, set_field("embedding_size", 0), "embedding_size"),
    ("vocabulary", INVALID_MODEL, set_field("vocab_size", 51), "word embedding"),
    ("vocabulary huge", INVALID_MODEL, set_field("vocab_size", 2**32 - 1), "vocab_size"),
    ("positions", INVALID_MODEL, set_field("max_positions", 513), "position embedding"),
    ("offset", INVALID_MODEL, set_field("position_offset", 512), "position_offset"),
    ("types", INVALID_MODEL, set_field("type_vocab_size", 3), "token type embedding"),
    ("no types", INVALID_MODEL, set_field("type_vocab_size", 0), "token type embedding"),
    ("activation", UNSUPPORTED, set_field("activation", 4), "activation"),
    ("eps", INVALID_MODEL, set_field("layer_norm_eps", float("nan")), "layer_norm_eps"),
    ("layers 0", INVALID_MODEL, set_field("num_layers", 0), "num_layers"),
    ("layers many", INVALID_MODEL, set_field("num_layers", 257), "num_layers"),
    ("head", UNSUPPORTED, set_field("head", 9), "head"),
    ("data short", INVALID_MODEL, set_field("data_bytes", 1000), "beyond"),
    ("data none", INVALID_ARGUMENT, set_field("data", 0), "data"),
]


@pytest.mark.parametrize(
    ("status", "change", "word"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_wrong_number(status: int, change: Callable[[ModelRecord], None], word: str) -> None:
    description = describe(random_model(1))
    change(description.record)
    error = refused(description)
    assert error.status == status
    assert word in error.message


@pytest.mark.parametrize("field", ["offset", "bytes", "dtype", "rows", "cols"])
@pytest.mark.parametrize("value", [0, 1, 2**31, 2**32 - 1, 2**64 - 4, 2**64 - 1])
@pytest.mark.parametrize(
    "which", ["word", "layers[0].qkv.weight", "layers[1].ffn_norm.beta", "classifier.weight"]
)
def test_wrong_record(field: str, value: int, which: str) -> None:
    description = describe(random_model(1, head="first_token"))
    target: Any = description.record
    for part in which.replace("[", ".").replace("]", "").split("."):
        target = target[int(part)] if part.isdigit() else getattr(target, part)
    if field != "offset" and field != "bytes":
        value %= 2**32
    legal = getattr(target, field) == value or (field == "offset" and value % 4 == 0 and value == 0)
    setattr(target, field, value)
    if (
        legal
    ):  # another record's numbers, still inside the data: a wrong answer, not a wrong address
        Encoder(description)
        return
    if field == "offset" and value == 1 and target.dtype == 1:
        Encoder(description)
        return
    assert refused(description).status in (INVALID_MODEL, UNSUPPORTED)


def edit(path: str, **values: int) -> Callable[[ModelRecord], None]:
    """A change of one tensor's numbers, `path` as in "layers[0].qkv.bias"."""

    def change(record: ModelRecord) -> None:
        target: Any = record
        for part in path.replace("[", ".").replace("]", "").split("."):
            target = target[int(part)] if part.isdigit() else getattr(target, part)
        for name, value in values.items():
            setattr(target, name, value)

    return change


def copy(source: str, target: str) -> Callable[[ModelRecord], None]:
    """A record given again in another place of the last layer, or nothing in its place."""

    def change(record: ModelRecord) -> None:
        layer = record.layers[record.num_layers - 1]
        owner: Any = layer
        *path, last = target.split(".")
        for part in path:
            owner = getattr(owner, part)
        value: Any = layer
        for part in source.split(".") if source else ():
            value = getattr(value, part)
        setattr(owner, last, value if source else type(getattr(owner, last))())

    return change


NEW_RECORDS: list[tuple[str, dict[str, Any], int, Callable[[ModelRecord], None], str]] = [
    ("bias empty", {}, INVALID_MODEL, edit("layers[0].qkv.bias", cols=0), "qkv.bias"),
    ("bias short of bytes", {}, INVALID_MODEL, edit("layers[0].qkv.bias", cols=5), "qkv.bias"),
    (
        "bias long",
        {},
        INVALID_MODEL,
        edit("layers[0].qkv.bias", cols=193, bytes=193 * 4),
        "qkv.bias",
    ),
    (
        "bias of two rows",
        {},
        INVALID_MODEL,
        edit("layers[0].qkv.bias", rows=2, cols=96),
        "qkv.bias",
    ),
    (
        "bias beyond",
        {},
        INVALID_MODEL,
        edit("layers[0].qkv.bias", cols=64, bytes=256, offset=2**40),
        "beyond",
    ),
    (
        "smoothing short",
        {"smoothing": True},
        INVALID_MODEL,
        edit("layers[0].ffn_up.smoothing", cols=32, bytes=128),
        "ffn_up.smoothing",
    ),
    (
        "smoothing int8",
        {"smoothing": True},
        INVALID_MODEL,
        edit("layers[0].ffn_up.smoothing", dtype=1, bytes=64),
        "ffn_up.smoothing",
    ),
    (
        "smoothing beyond",
        {"smoothing": True},
        INVALID_MODEL,
        edit("layers[0].qkv.smoothing", offset=2**63),
        "beyond",
    ),
    (
        "smoothing of f32 weights",
        {"int8": False},
        INVALID_MODEL,
        copy("attention_norm.gamma", "ffn_up.smoothing"),
        "ffn_up.smoothing",
    ),
    (
        "smoothing of f32 classifier",
        {},
        INVALID_MODEL,
        lambda r: setattr(r.classifier, "smoothing", r.layers[0].ffn_norm.gamma),
        "classifier.smoothing",
    ),
    (
        "smoothing of ffn_down",
        {},
        UNSUPPORTED,
        copy("attention_norm.gamma", "ffn_down.smoothing"),
        "ffn_down",
    ),
    (
        "query without its smoothing",
        {"smoothing": True, "query": True},
        UNSUPPORTED,
        copy("", "query.smoothing"),
        "query.smoothing",
    ),
    (
        "query of another smoothing",
        {"smoothing": True, "query": True},
        UNSUPPORTED,
        copy("ffn_up.smoothing", "query.smoothing"),
        "query.smoothing",
    ),
    ("query beside Q | K | V", {}, INVALID_MODEL, copy("attention_output", "query"), "1: qkv"),
    (
        "query beside another layer's Q | K | V",
        {"shared": True},
        INVALID_MODEL,
        copy("attention_output", "query"),
        "1: qkv",
    ),
    ("K | V without a query", {"query": True}, INVALID_MODEL, copy("", "query"), "1: qkv"),
    ("query too wide", {"query": True}, INVALID_MODEL, copy("qkv", "query"), "1: query"),
    (
        "query without a scale",
        {"query": True},
        INVALID_MODEL,
        copy("", "query.scale"),
        "query.scale",
    ),
]


@pytest.mark.parametrize(
    ("kwargs", "status", "change", "word"),
    [r[1:] for r in NEW_RECORDS],
    ids=[r[0] for r in NEW_RECORDS],
)
def test_wrong_bias_smoothing_or_query(
    kwargs: dict[str, Any], status: int, change: Callable[[ModelRecord], None], word: str
) -> None:
    description = describe(random_model(1, head="first_token", **kwargs))
    change(description.record)
    error = refused(description)
    assert word in error.message
    assert error.status == status


@settings(max_examples=300)
@given(data=st.data())
def test_any_bytes_in_the_description(data: st.DataObject) -> None:
    """Random changes of the numbers (not of pointers): opens or says why, and then runs."""
    model = random_model(2, head="first_token", head_dense=True, smoothing=True, query=True)
    description = describe(model)
    record = description.record
    regions = [
        (
            ctypes.addressof(record) + ModelRecord.threads.offset,
            ModelRecord.layers.offset - ModelRecord.threads.offset,
        ),
        (ctypes.addressof(description.layers), ctypes.sizeof(description.layers)),
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        base, size = data.draw(st.sampled_from(regions))
        where = data.draw(st.integers(0, size // 4 - 1)) * 4
        value = data.draw(
            st.sampled_from([0, 1, 2, 31, 32, 64, 96, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
        )
        ctypes.memmove(base + where, value.to_bytes(4, "little"), 4)
    record.num_layers = min(record.num_layers, len(description.layers))  # the caller's own promise
    record.num_relative_buckets = 0  # as well
    try:
        encoder = Encoder(description)
    except NativeError as error:
        assert error.message
        return
    try:
        encoder.run(random_texts(np.random.default_rng(0), [1, 20]))
    except NativeError as error:
        assert error.status == INVALID_ARGUMENT


@pytest.mark.parametrize("value", [-1, 50, 2**31 - 1, -(2**31)])
def test_wrong_id(value: int) -> None:
    encoder = Encoder(describe(random_model(1), threads=2))
    text = np.arange(10, dtype=np.int32)
    text[7] = value
    with pytest.raises(NativeError, match=rf"input_ids\[7\] is {value}") as caught:
        encoder.run([text])
    assert caught.value.status == INVALID_ARGUMENT


@pytest.mark.parametrize("value", [-1, 2])
def test_wrong_type(value: int) -> None:
    encoder = Encoder(describe(random_model(1)))
    text = np.arange(10, dtype=np.int32)
    types = np.zeros(10, np.int32)
    types[3] = value
    with pytest.raises(NativeError, match=rf"token_type_ids\[3\] is {value}"):
        encoder.run([text], [types])


@pytest.mark.parametrize("length", [0, 129])
def test_wrong_length(length: int) -> None:
    encoder = Encoder(describe(random_model(1, positions=130, position_offset=2)))
    with pytest.raises(NativeError, match=rf"lengths\[1\] is {length}: must be 1 to 128"):
        encoder.run(random_texts(np.random.default_rng(0), [128, length]))


def test_wrong_sizes() -> None:
    encoder = Encoder(describe(random_model(1)))
    texts = random_texts(np.random.default_rng(0), [5, 6])
    for size in (0, 11 * 64 - 1, 11 * 64 + 1):
        with pytest.raises(NativeError, match="out has"):
            encoder.run(texts, out_floats=size)
    for tokens in (0, 10, 12):
        with pytest.raises(NativeError, match="n_tokens"):
            encoder.run(texts, n_tokens=tokens)


def test_null_pointers() -> None:
    library = load_library()
    message = ctypes.create_string_buffer(64)
    handle = ctypes.c_void_p()
    assert library.lb_open(None, ctypes.byref(handle), message, 64) == INVALID_ARGUMENT
    assert library.lb_open(ctypes.byref(ModelRecord()), None, message, 64) == INVALID_ARGUMENT
    assert library.lb_run(None, 0, None, 0, None, None, None, 0, message, 64) == INVALID_ARGUMENT
    encoder = Encoder(describe(random_model(1)))
    assert (
        library.lb_run(encoder.handle, 1, None, 1, None, None, None, 64, None, 0)
        == INVALID_ARGUMENT
    )
    assert library.lb_run(encoder.handle, 0, None, 0, None, None, None, 0, None, 0) == OK
    library.lb_close(None)


def test_message_fits_its_buffer() -> None:
    description = describe(random_model(1))
    description.record.hidden_size = 100
    handle = ctypes.c_void_p()
    for size in (0, 1, 5):
        message = ctypes.create_string_buffer(b"x" * 15)
        load_library().lb_open(
            ctypes.byref(description.record), ctypes.byref(handle), message, size
        )
        assert message.raw[size:15] == b"x" * (15 - size)
        assert size == 0 or b"\0" in message.raw[:size]
        assert handle.value is None


def test_files_that_are_none(tmp_path: Path) -> None:
    model = random_model(1)
    description = describe(model, path=tmp_path / "weights")
    for path, word in (
        (tmp_path / "absent", "No such file"),
        (tmp_path, "not a file"),
        (tmp_path / "empty", "not a file"),
    ):
        (tmp_path / "empty").touch()
        description.record.path = os.fsencode(path)
        error = refused(description)
        assert error.status == IO
        assert word in error.message
    short = tmp_path / "short"
    short.write_bytes((tmp_path / "weights").read_bytes()[:-100])
    description.record.path = os.fsencode(short)
    assert refused(description).status == INVALID_MODEL


def test_unknown_isa() -> None:
    with pytest.raises(NativeError, match="LEANBERT_ISA must be") as caught:
        Encoder(describe(random_model(1)), "sse2")
    assert caught.value.status == NO_ISA
