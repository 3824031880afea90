"""A long word is cut on the left and counted in parts: the tokens that are kept are the same."""

from __future__ import annotations

import random
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from leanbert.errors import InputError
from leanbert.tokenization.borders import BpeBorders, UnigramBorders
from leanbert.tokenization.shortening import Shortener
from leanbert.tokenization.word_cuts import WordCuts
from tests.runtime.tokenization.test_long_words import (
    ALPHABETS,
    TOKENS,
    drawn_bpe,
    drawn_unigram,
    loaded,
    run,
)

FAMILIES = ["bert", "roberta", "modernbert", "xlm-roberta", "albert"]
SETTINGS = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])


def check(base: tokenizers.Tokenizer, text: str) -> int:
    """Compare the last tokens and their places; returns the characters left out."""
    piece = 16384 if isinstance(base.model, models.WordPiece) else 2048
    [part], origins = Shortener(base, "left", piece=piece).shorten([text], TOKENS)
    found, wanted = (base.encode(one, add_special_tokens=False) for one in (part, text))
    assert found.ids[-TOKENS:] == wanted.ids[-TOKENS:]
    assert (len(found.ids) > TOKENS) == (len(wanted.ids) > TOKENS)
    if 0 in origins:
        import numpy as np

        offsets = origins[0][0].restore(np.array(found.offsets, dtype=np.int32).reshape(-1, 2))
        last = wanted.offsets[-TOKENS:]
        assert offsets[-TOKENS:].tolist() == [list(place) for place in last]
    return len(text) - len(part)


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_word_is_cut_on_the_left(families: Any, family: str, alphabet: str) -> None:
    base = loaded(families, family)
    source = random.Random(5)  # noqa: S311 - seeded texts, not secrets
    lost = 0
    for after in ("", " [SEP] the company said.", "<mask>", " " + run(source, "profit", 3000)):
        word = run(source, ALPHABETS[alphabet], 12_000)
        for before in ("", "Sales fell. "):
            lost += check(base, before + word + after)
    if alphabet in {"letters", "mixed"}:
        assert lost > 40_000


@pytest.mark.parametrize("model", ["bpe", "unigram"])
@SETTINGS
@given(data=st.data())
def test_a_border_is_the_end_of_a_token_whatever_stands_around(
    model: str, data: st.DataObject
) -> None:
    """Random vocabularies over two or three letters, whose merges reach as far as any can."""
    base = drawn_bpe(data) if model == "bpe" else drawn_unigram(data)
    borders: Any = BpeBorders(base.model, 12) if model == "bpe" else UnigramBorders(base.model, 6)
    alphabet = data.draw(st.sampled_from(["ab", "abc"]))
    part = data.draw(st.text(alphabet, min_size=60, max_size=90))
    for _ in range(4):
        before = data.draw(st.text(alphabet, max_size=40))
        after = data.draw(st.text(alphabet, max_size=40))
        text = before + part + after
        place = borders.border(part, len(text))
        if place is None:
            return
        row = base.encode(text, add_special_tokens=False)
        assert len(before) + place in {end for _, end in row.offsets}
        if borders.is_certain(part[place:] + after, len(text)):
            left = sum(end <= len(before) + place for _, end in row.offsets)
            alone = base.encode(part[place:] + after, add_special_tokens=False)
            assert row.ids[left:] == alone.ids


@pytest.mark.parametrize("family", ["roberta", "modernbert", "xlm-roberta"])
def test_borders_are_found_at_all(families: Any, family: str) -> None:
    """The tests above would pass if nothing were ever proved."""
    base = loaded(families, family)
    text = "operatingprofitrosetothirteenmillion" * 600
    found = WordCuts(base).after(text, 3000)
    assert found is not None
    assert 3000 <= len(text) - found[0] < 8000
    assert found[1] < 400


def test_a_border_that_depends_on_all_before_it_is_none() -> None:
    """How the letters pair depends on whether their number before is odd."""
    merges = [("a", "a")]
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "aa"]
    model = models.BPE({t: i for i, t in enumerate(tokens)}, merges)
    assert BpeBorders(model, 2).border("a" * 80, 80) is None
    assert BpeBorders(model, 2).border("a" * 20 + "b" + "a" * 20, 41) is not None


def test_scores_that_rounding_could_decide_are_not_certain() -> None:
    model = models.Unigram([("<unk>", 0.0), ("a", -1.1), ("aa", -1.3), ("b", -2.0)], 0, False)
    borders = UnigramBorders(model, 2)
    assert borders.is_certain("baab", 10**6)
    assert not borders.is_certain("baaab", 10**6)  # a+aa and aa+a


@pytest.mark.parametrize("family", ["roberta", "modernbert"])
@pytest.mark.parametrize("sizes", [(30_000, 30_100), (30_100, 30_000), (30_000, 30_000)])
def test_two_long_words_of_a_pair_are_counted_in_parts(
    families: Any, family: str, sizes: tuple[int, int]
) -> None:
    base = loaded(families, family)
    source = random.Random(9)  # noqa: S311 - seeded texts, not secrets
    pair = tuple(run(source, ALPHABETS["letters"], size) for size in sizes)
    first, second = (base.encode(text, add_special_tokens=False).ids for text in pair)
    for text, ids in zip(pair, (first, second), strict=True):
        assert Shortener(base, "right", piece=1024)._count(text) == len(ids)
    base.post_processor = None
    for side in ("right", "left"):
        cutting = tokenizers.Tokenizer.from_str(base.to_str())
        cutting.enable_truncation(17, direction=side)
        [short], _ = Shortener(base, side, piece=1024).shorten([pair], 17)
        assert sum(map(len, short)) < 8000
        more = len(first) > len(second)  # the library would take gigabytes for the whole pair
        kept = (8 + more, 9 - more)
        wanted = [first[: kept[0]], second[: kept[1]]]
        if side == "left":
            wanted = [first[-kept[0] :], second[-kept[1] :]]
        assert cutting.encode(*short).ids == [*wanted[0], *wanted[1]]


def test_what_cannot_be_cut_is_refused_above_a_size(families: Any) -> None:
    """Emoji behind a normalizer have no proved place."""
    base = loaded(families, "xlm-roberta")
    text = "\u0e31\U0001f680" * 1500
    shortener = Shortener(base, "left", piece=512, most=2000)
    with pytest.raises(InputError, match=r"^text 7: 3,000 characters without a place"):
        shortener.shorten([text], TOKENS, first_index=7)
    with pytest.raises(InputError, match="at most 2,000 characters"):
        shortener.shorten([("sales", text)], TOKENS)
    assert Shortener(base, "left", piece=512).shorten([text], TOKENS)[0] == [text]
