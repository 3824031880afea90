"""The ragged batch, and the rectangles that ONNX Runtime is given instead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.engines import Batch
from leanbert.engines.padding import pad, strip

ROWS = st.lists(st.lists(st.integers(1, 30_000), max_size=9), max_size=8)


@given(ROWS)
def test_texts_lie_end_to_end(rows: list[list[int]]) -> None:
    batch = Batch.of(rows, [[i % 2 for i in row] for row in rows])
    assert len(batch) == len(rows)
    assert [part.tolist() for part in batch.split(batch.input_ids)] == rows
    assert batch.token_type_ids.tolist() == [i % 2 for row in rows for i in row]
    assert batch.lengths.tolist() == [len(row) for row in rows]


@given(ROWS.filter(len), st.data())
def test_taking_gives_the_texts_in_the_order_asked_for(
    rows: list[list[int]], data: st.DataObject
) -> None:
    indices = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=12))
    taken = Batch.of(rows, rows).take(indices)
    assert [part.tolist() for part in taken.split(taken.input_ids)] == [rows[i] for i in indices]
    assert taken.token_type_ids.tolist() == taken.input_ids.tolist()


@given(ROWS, st.data())
def test_a_part_has_the_texts_of_a_range(rows: list[list[int]], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    part = Batch.of(rows, rows).part(start, stop)
    assert [text.tolist() for text in part.split(part.input_ids)] == rows[start:stop]
    assert part.token_type_ids.tolist() == part.input_ids.tolist()


@given(ROWS, st.integers(0, 9))
def test_padding_fills_on_the_right_and_comes_out_again(
    rows: list[list[int]], pad_token_id: int
) -> None:
    batch = Batch.of(rows, [[1] * len(row) for row in rows])
    padded = pad(batch, pad_token_id)
    longest = max(map(len, rows), default=0)
    assert {array.dtype for array in padded.values()} == {np.dtype(np.int64)}
    for i, row in enumerate(rows):
        rest = longest - len(row)
        assert padded["input_ids"][i].tolist() == row + [pad_token_id] * rest
        assert padded["attention_mask"][i].tolist() == [1] * len(row) + [0] * rest
        assert padded["token_type_ids"][i].tolist() == [1] * len(row) + [0] * rest
    assert strip(padded["input_ids"], batch).tolist() == batch.input_ids.tolist()
    vectors = np.stack([padded["input_ids"]] * 3, axis=-1)
    assert strip(vectors, batch).shape == (len(batch.input_ids), 3)


def test_arrays_that_no_engine_could_read() -> None:
    ids = np.zeros(4, np.int32)
    with pytest.raises(TypeError, match="int64"):
        Batch(ids, ids, np.array([4]))
    with pytest.raises(TypeError, match="contiguous"):
        Batch(np.zeros(8, np.int32)[::2], ids, np.array([4], np.int32))
    with pytest.raises(TypeError, match="one axis"):
        Batch(np.zeros((2, 2), np.int32), ids, np.array([4], np.int32))
    with pytest.raises(ValueError, match="4 token ids, but 3"):
        Batch(ids, ids[:3], np.array([4], np.int32))
