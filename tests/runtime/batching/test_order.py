"""Batching changes when a text is computed, never its answer or its place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanbert.batching import GROUP, MAX_TOKENS, Prepared, Runner
from leanbert.batching.order import chunks, cut_batches
from leanbert.errors import InputError
from leanbert.tokenization import text_input
from tests.helpers.tiny_words import FILLER, NEGATIVE, NEUTRAL, POSITIVE

LENGTHS = st.lists(st.integers(0, 600), max_size=200)
TEXTS = st.one_of(
    st.lists(st.sampled_from([*POSITIVE, *NEGATIVE, *NEUTRAL, *FILLER, "xq"]), max_size=45).map(
        " ".join
    ),
    st.text(max_size=12),
)
ITEMS = TEXTS | st.fixed_dictionaries({"text": TEXTS, "text_pair": TEXTS})


@given(LENGTHS, st.integers(1, 2000), st.none() | st.integers(1, 40))
def test_each_text_is_in_one_batch_within_the_budget(
    lengths: list[int], max_tokens: int, max_rows: int | None
) -> None:
    batches = cut_batches(lengths, max_tokens, max_rows)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or len(batch) * longest <= max_tokens
        assert max_rows is None or len(batch) <= max_rows


@given(LENGTHS, st.integers(1, 2000), st.none() | st.integers(1, 40))
def test_longest_first_and_no_batch_too_many(
    lengths: list[int], max_tokens: int, max_rows: int | None
) -> None:
    batches = cut_batches(lengths, max_tokens, max_rows)
    planned = [i for batch in batches for i in batch]
    assert planned == sorted(planned, key=lambda i: (-lengths[i], i))
    for batch, following in itertools.pairwise(batches):
        longest = lengths[batch[0]]
        full = (len(batch) + 1) * longest > max_tokens or len(batch) == max_rows
        assert full, f"{following[0]} would have fitted"


def test_sorting_saves_padding() -> None:
    lengths = [3, 500, 4, 500, 3]
    assert cut_batches(lengths, 1000) == [[1, 3], [2, 0, 4]]
    assert cut_batches(lengths, 400) == [[1], [3], [2, 0, 4]]
    assert cut_batches([], 10) == []


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20))
def test_chunks_cut_a_stream(items: list[int], size: int) -> None:
    cut = list(chunks(iter(items), size))
    assert [item for chunk in cut for item in chunk] == items
    assert all(len(chunk) == size for chunk in cut[:-1])
    assert all(cut)


def test_chunks_are_lazy() -> None:
    drawn: list[int] = []

    def source() -> Any:
        for i in range(100):
            drawn.append(i)
            yield i

    found = chunks(source(), 7)
    assert drawn == []
    assert next(found) == list(range(7))
    assert drawn == list(range(7))


def logits(running: Runner, items: Sequence[object], **options: Any) -> list[Any]:
    def preprocess(part: Sequence[object], first: int) -> Prepared[object, Any]:
        texts = [text_input(item, i) for i, item in enumerate(part, first)]
        return Prepared(part, running.tokenizer.encode(texts, truncation=True))

    return list(
        running.map(
            items,
            preprocess,
            lambda batch: list(running.engine.run(batch)["logits"]),
            lambda _, __, ___, rows: rows[0],
            **options,
        )
    )


@given(st.lists(ITEMS, max_size=60), st.none() | st.integers(1, 9))
@settings(max_examples=60)
def test_answers_are_those_of_each_text_alone(
    classify: Any, items: list[object], batch_size: int | None
) -> None:
    together = logits(classify.runner, items, batch_size=batch_size)
    alone = [logits(classify.runner, [item])[0] for item in items]
    assert len(together) == len(items)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=0)


def test_answers_keep_their_order_over_groups_and_batches(classify: Any) -> None:
    kinds = {"profit": "positive", "loss": "negative", "the company": "neutral"}
    words = [list(kinds)[i * i % 3] + " year" * (i % 7) for i in range(GROUP + 500)]
    assert len(words) * 3 > 2 * MAX_TOKENS["latency"]
    alone = {word: classify(word)[0] for word in set(words)}
    for word, answer in zip(words, classify(words), strict=True):
        assert answer["label"] == alone[word]["label"]
        assert answer["score"] == pytest.approx(alone[word]["score"], abs=1e-6)
    assert alone["profit"]["label"] == "positive"
    assert alone["loss"]["label"] == "negative"


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_that_is_none(classify: Any, batch_size: int) -> None:
    with pytest.raises(InputError, match=f"batch_size is {batch_size}"):
        classify(["profit"], batch_size=batch_size)


def test_batches_respect_the_limits(classify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    run = classify.runner.engine.run

    def spy(batch: Any) -> Any:
        seen.append((len(batch), int(batch.lengths.max())))
        return run(batch)

    monkeypatch.setattr(classify.runner.engine, "run", spy)
    texts = ["profit " * (i % 30) for i in range(200)]
    classify(texts, deduplicate=False)
    assert sum(rows for rows, _ in seen) == 200
    assert all(rows * length <= MAX_TOKENS["latency"] for rows, length in seen)
    assert len(seen) < 10
    seen.clear()
    classify(texts, batch_size=16, deduplicate=False)
    assert max(rows for rows, _ in seen) == 16


def test_a_group_of_encodings_takes_little_memory(classify: Any) -> None:
    """Ids and types of 4 bytes each, not the tokenizer's 100 bytes a token."""
    texts = ["profit " * 20] * GROUP
    encodings = classify.runner.tokenizer.encode(texts)
    arrays = [encodings.input_ids, encodings.token_type_ids]
    assert sum(array.nbytes for array in arrays) == 8 * encodings.lengths.sum()
    assert all(array.base is None for array in arrays)
