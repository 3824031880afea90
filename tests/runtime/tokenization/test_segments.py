"""Windows of long texts are those of transformers' fast tokenizers, token for token."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert import LeanBertWarning
from leanbert.errors import InputError
from leanbert.tokenization import Segments, Tokenizer, segment
from leanbert.tokenization.cutting import report_cut
from tests.helpers import tiny_words
from tests.helpers.tiny_bundles import MAX_LENGTH
from tests.helpers.tiny_words import FILLER, NEGATIVE, POSITIVE

WORDS = [*POSITIVE, *NEGATIVE, *FILLER, "xq", "naïve,", "Profit", "🚀"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=90).map(" ".join)


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: Path) -> Tokenizer:
    return Tokenizer(tiny_bundle / "tokenizer.json", MAX_LENGTH)


def window(segments: Segments, i: int) -> list[tuple[Any, ...]]:
    place = segments.place(i)
    fields = (
        *(segments.input_ids, segments.token_type_ids, segments.word_ids, segments.sequence_ids),
        *(segments.offsets, segments.special_tokens_mask),
    )
    columns = [field[place].tolist() for field in fields]
    columns[4] = list(map(tuple, columns[4]))
    return list(zip(*columns, strict=True))


def whole(text: str | tuple[str, str]) -> list[tuple[Any, ...]]:
    """The same of a text that is not cut, by the tokenizers library alone."""
    made = tiny_words.tokenizer()
    row = made.encode(*text) if isinstance(text, tuple) else made.encode(text)
    word_ids = [-1 if i is None else i for i in row.word_ids]
    sequences = [-1 if i is None else i for i in row.sequence_ids]
    special = list(map(bool, row.special_tokens_mask))
    return list(zip(row.ids, row.type_ids, word_ids, sequences, row.offsets, special, strict=True))


@given(TEXTS, st.integers(0, 20), st.integers(24, 40))
def test_windows_are_slices_of_the_text(
    tokenizer: Tokenizer, text: str, stride: int, max_length: int
) -> None:
    segments = segment(tokenizer, [text], stride=stride, max_length=max_length)
    start, *tokens, end = whole(text)
    room = min(max_length, MAX_LENGTH) - 2
    starts = [0]
    while starts[-1] + room < len(tokens):
        starts.append(starts[-1] + room - stride)
    assert segments.counts == [len(starts)]
    assert segments.lengths.tolist() == [len(window(segments, i)) for i in range(len(starts))]
    for i, first in enumerate(starts):
        assert window(segments, i) == [start, *tokens[first : first + room], end]


@given(TEXTS.filter(str.split), TEXTS, st.integers(0, 9))
def test_windows_of_pairs_repeat_the_part_that_is_not_cut(
    tokenizer: Tokenizer, text: str, pair: str, stride: int
) -> None:
    text = " ".join(text.split()[:4])
    segments = segment(tokenizer, [(text, pair)], stride=stride, strategy="only_second")
    tokens = whole((text, pair))
    begin = next((i for i, token in enumerate(tokens) if token[3] == 1), len(tokens) - 1)
    head, second, tail = tokens[:begin], tokens[begin:-1], tokens[-1:]
    room = MAX_LENGTH - len(head) - 1
    starts = [0]
    while starts[-1] + room < len(second):
        starts.append(starts[-1] + room - stride)
    assert segments.counts == [len(starts)]
    for i, first in enumerate(starts):
        assert window(segments, i) == [*head, *second[first : first + room], *tail]
    turned = segment(tokenizer, [(pair, text)], stride=stride, strategy="only_first")
    assert turned.counts == segments.counts


def test_texts_keep_their_windows(tokenizer: Tokenizer) -> None:
    texts = ["profit " * (i * 7 % 120) for i in range(150)]
    together = segment(tokenizer, texts, stride=5)
    start = 0
    for text, count in zip(texts, together.counts, strict=True):
        alone = segment(tokenizer, [text], stride=5)
        assert alone.counts == [count]
        for i in range(count):
            assert window(together, start + i) == window(alone, i)
        start += count
    assert start == len(together)


def test_a_text_is_cut_as_by_encode(tokenizer: Tokenizer) -> None:
    texts: list[str | tuple[str, str]] = ["profit " * 50, "sales", ("profit " * 30, "loss " * 9)]
    cut = segment(tokenizer, texts, truncation=True)
    wanted = tokenizer.encode(texts, truncation=True)
    assert cut.counts == [1, 1, 1]
    for name in ("input_ids", "token_type_ids", "lengths"):
        assert getattr(cut, name).tolist() == getattr(wanted, name).tolist()
    with pytest.warns(LeanBertWarning, match=r"^2 texts \(text 7 first\): cut to 32"):
        report_cut(segment(tokenizer, texts, first_index=7))
    with pytest.raises(InputError, match=r"^2 texts \(text 0 first\): longer than 8"):
        segment(tokenizer, texts, truncation=False, max_length=8)


def test_offsets_count_characters(tokenizer: Tokenizer) -> None:
    text = "🚀 naïve \ud800 Profit\r\nrose"
    segments = segment(tokenizer, [text, "plain"])
    spans = [text[a:b] for a, b in segments.offsets[segments.place(0)].tolist()[1:-1]]
    assert spans[-2:] == ["Profit", "rose"]
    assert segments.offsets.dtype == np.int32


def test_words_that_the_caller_split(tokenizer: Tokenizer) -> None:
    words = ["profit,", "ro", "", "sales"]
    segments = segment(tokenizer, [words, []], is_split_into_words=True)
    first = segments.place(0)
    assert segments.word_ids[first].tolist() == [-1, 0, 0, 1, 1, 3, -1]
    spans = [[0, 0], [0, 6], [6, 7], [0, 1], [1, 2], [0, 5], [0, 0]]
    assert segments.offsets[first].tolist() == spans
    assert segments.lengths.tolist() == [7, 2]
    surrogate = segment(tokenizer, [["\ud800", "sales"]], is_split_into_words=True)
    assert surrogate.word_ids.tolist() == [-1, 1, -1]
    for wrong in ("sales", ("a", "b"), ["a", 3]):
        with pytest.raises(InputError, match=r"^text 1: expected a list of words"):
            segment(tokenizer, [["a"], wrong], is_split_into_words=True)  # type: ignore[list-item]


@pytest.mark.parametrize("stride", [-1, 30, 31, 500])
def test_a_stride_that_leaves_no_room(tokenizer: Tokenizer, stride: int) -> None:
    with pytest.raises(InputError, match=f"stride is {stride}; windows of 32 tokens"):
        segment(tokenizer, ["sales"], stride=stride)


def test_a_part_that_leaves_no_room(tokenizer: Tokenizer) -> None:
    short, long = "sales " * 3, "profit " * 40
    pairs: list[str | tuple[str, str]] = [(short, long), ("sales " * 20, long)]
    assert segment(tokenizer, pairs, stride=8, strategy="only_second").counts[0] > 1
    for stride, first in [(9, "sales " * 20), (0, "sales " * 29), (0, long)]:
        pairs[1] = (first, long)
        with pytest.raises(InputError, match=r"^text 6: the part that is not cut has \d+ of 32"):
            segment(tokenizer, pairs, stride=stride, strategy="only_second", first_index=5)
    # Where nothing needs to be cut there is nothing to refuse.
    fits: list[str | tuple[str, str]] = [("sales " * 20, "profit"), ("sales " * 29, "")]
    assert segment(tokenizer, fits, stride=20, strategy="only_second").counts == [1, 1]
    with pytest.raises(InputError, match=r"^text 0: windows of pairs are cut by"):
        segment(tokenizer, pairs, stride=2)
    with pytest.raises(InputError, match="strategy is 'second'"):
        segment(tokenizer, pairs, stride=2, strategy="second")


def test_many_threads_cut_in_many_ways(tiny_bundle: Path) -> None:
    tokenizer = Tokenizer(tiny_bundle / "tokenizer.json", MAX_LENGTH)
    texts = ["profit rose " * (i % 60) for i in range(40)]

    def counts(stride: int) -> list[int]:
        return list(segment(tokenizer, texts, stride=stride % 7, max_length=16).counts)

    alone = [counts(stride) for stride in range(7)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(counts, range(70)))
    assert found == alone * 10
