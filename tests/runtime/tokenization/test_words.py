"""Words stand where they say, and have no punctuation at their ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.tokenization.words import word_spans


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        (" \n\t ", []),
        ("(Net sales: -5%, U.S.)", ["Net", "sales", "-5%", "U.S"]),
        ("EUR 13.1 mn.", ["EUR", "13.1", "mn"]),
        ("AT&T's #1 @home", ["AT&T's", "#1", "@home"]),
        ("“quoted” … said", ["quoted", "…", "said"]),
        ("so :-) !!! 🚀", ["so", ":-)", "!!!", "🚀"]),
        ("利润上升。 カナ ok", ["利", "润", "上", "升", "カ", "ナ", "ok"]),
        ("profit\u00a0rose\u2028fell", ["profit", "rose", "fell"]),
    ],
)
def test_words(text: str, wanted: list[str]) -> None:
    assert words(text) == wanted


@given(st.text())
def test_no_word_has_white_space_and_none_overlaps_another(text: str) -> None:
    spans = word_spans(text)
    assert all(start < end for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert all(not any(map(str.isspace, text[start:end])) for start, end in spans)
    assert bool(spans) == bool(text.split())
