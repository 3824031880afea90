"""Texts whose words have thousands of characters are cut too, and keep their tokens and places."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from leanbert.tokenization.elision import Elision
from leanbert.tokenization.shortening import Shortener
from leanbert.tokenization.word_cuts import WordCuts

TOKENS = 24
ALPHABETS = {
    "one letter": "a",
    "letters": "etaoinshrdluprofitsales",
    "digits": "0123456789",
    "mixed": "abcdefghijklmnopqrstuvwxyzABCDEF0123456789",
    "ideographs": "营业利润增长的一是不了在",
    "accents": "éàüöñ",
    "marks above": "กขคงจชซดาิีุู",
    "emoji": "🚀😀📈",
}


def loaded(families: Any, family: str) -> tokenizers.Tokenizer:
    folder = families.checkpoint(family, "text-classification")
    base = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    base.no_padding()
    base.no_truncation()
    return base


def check(base: tokenizers.Tokenizer, text: str, piece: int) -> int:
    """Compare the tokens that are kept and their places; returns the characters left out."""
    [part], origins = Shortener(base, "right", piece=piece).shorten([text], TOKENS)
    found, wanted = (base.encode(one, add_special_tokens=False) for one in (part, text))
    offsets = np.array(found.offsets, dtype=np.int32).reshape(-1, 2)
    if 0 in origins:
        offsets = origins[0][0].restore(offsets)
    assert found.ids[:TOKENS] == wanted.ids[:TOKENS]
    assert offsets[:TOKENS].tolist() == [list(place) for place in wanted.offsets[:TOKENS]]
    assert (len(found.ids) > TOKENS) == (len(wanted.ids) > TOKENS)
    return len(text) - len(part)


def run(source: random.Random, alphabet: str, size: int) -> str:
    return "".join(source.choices(alphabet, k=size))


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("family", ["bert", "bert-cased", "roberta", "modernbert", "xlm-roberta"])
def test_a_long_word_is_cut_and_keeps_its_tokens(families: Any, family: str, alphabet: str) -> None:
    base = loaded(families, family)
    source = random.Random(7)  # noqa: S311 - seeded texts, not secrets
    wordpiece_like = family.startswith("bert")
    lost = 0
    for before in ("", "Sales fell. ", "  x"):
        word = run(source, ALPHABETS[alphabet], 9000)
        for after in ("", " [SEP] the company said", " " + run(source, "profit", 5000)):
            lost += check(base, before + word + after, 16384 if wordpiece_like else 2048)
    if wordpiece_like or alphabet in {"one letter", "letters", "digits", "mixed"}:
        assert lost > 10_000


@pytest.mark.parametrize("model", ["bpe", "unigram"])
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_proved_place_changes_a_token(model: str, data: st.DataObject) -> None:
    """Random vocabularies over two or three letters, whose merges reach as far as any can."""
    base = drawn_bpe(data) if model == "bpe" else drawn_unigram(data)
    alphabet = data.draw(st.sampled_from(["ab", "abc"]))
    text = data.draw(st.text(alphabet, min_size=120, max_size=300))
    place = WordCuts(base).before(text, 60)
    if place is not None:
        first = base.encode(text[:place], add_special_tokens=False)
        whole = base.encode(text, add_special_tokens=False)
        assert first.ids == whole.ids[: len(first.ids)]
        assert first.offsets == whole.offsets[: len(first.ids)]
        other = data.draw(st.text(alphabet, min_size=40, max_size=80))
        seen = text[: place + 40] + other  # only what stands behind the neighbourhood may differ
        if WordCuts(base).before(seen, 60) == place:
            again = base.encode(seen, add_special_tokens=False)
            assert first.ids == again.ids[: len(first.ids)]


def drawn_bpe(data: st.DataObject) -> tokenizers.Tokenizer:
    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = ["a", "b", "c"]
    merges: list[tuple[str, str]] = []
    for _ in range(data.draw(st.integers(1, 12))):
        pair = (data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known)))
        if pair not in merges and len("".join(pair)) <= 12:
            merges.append(pair)
            known.append("".join(pair))
    tokens = list(dict.fromkeys([*vocabulary, *known]))
    made = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def drawn_unigram(data: st.DataObject) -> tokenizers.Tokenizer:
    pieces = data.draw(st.sets(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=12))
    scores = st.integers(-12, -1)
    vocabulary = [("<unk>", 0.0), *((piece, data.draw(scores) / 4) for piece in sorted(pieces))]
    made = tokenizers.Tokenizer(models.Unigram(vocabulary, 0, False))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return made


def test_places_are_found_at_all() -> None:
    """The test above would pass if nothing were ever proved."""
    merges = [("a", "b"), ("ab", "c")]
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "abc"]
    base = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    place = WordCuts(base).before("abcab" * 60, 60)
    assert place is not None
    assert 30 < place <= 60
    unigram = tokenizers.Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("ab", -1.0)], 0))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    place = WordCuts(unigram).before("aab" * 60, 60)
    assert place is not None
    assert 50 < place <= 60


def test_a_place_whose_word_may_still_change_is_not_taken() -> None:
    """Whether ``a`` pairs with its neighbour on the left depends on all that follows."""
    merges = [("b", "b"), ("a", "a")]
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "bb", "aa"]
    base = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.add_tokens(["ab"])  # made of the word's own letters: it could reach over any place
    assert WordCuts(base).before("ab" * 200, 60) is None


def wordpiece(**steps: Any) -> tokenizers.Tokenizer:
    model = models.WordPiece(
        {"[UNK]": 0, "a": 1, "##a": 2, "b": 3},
        unk_token="[UNK]",  # noqa: S106 - no password
        max_input_chars_per_word=10,
    )
    made = tokenizers.Tokenizer(model)
    made.normalizer = steps.get("normalizer", normalizers.BertNormalizer())
    made.pre_tokenizer = steps.get("pre_tokenizer", pre_tokenizers.BertPreTokenizer())
    return made


@pytest.mark.parametrize("word", ["x" * 900, "é" * 900, "e\u0301" * 450, "🚀" * 900, " " * 900])
def test_the_middle_of_an_unknown_word_is_left_out(word: str) -> None:
    text = f"a {word} b"
    short, origin = Elision(wordpiece(), 300).shorten(text)
    assert len(short) < 300
    found, wanted = (wordpiece().encode(one) for one in (short, text))
    assert found.ids == wanted.ids
    assert origin.restore(np.array(found.offsets)).tolist() == list(map(list, wanted.offsets))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("\u0301" * 900, {}),  # nothing is left of it
        ("x" * 600 + "\u0301" * 600, {}),  # the token ends before the accents
        ("中" * 900, {}),  # a word each
        ("\u166d" * 900, {}),  # a sign that the library's Unicode splits off
        ("x" * 900, {"normalizer": normalizers.NFKC()}),
        ("x" * 900, {"pre_tokenizer": pre_tokenizers.Whitespace()}),
        ("x" * 300, {}),
    ],
)
def test_what_is_not_proved_stays_whole(text: str, steps: dict[str, Any]) -> None:
    assert Elision(wordpiece(**steps), 300).shorten(text)[0] == text


def test_an_added_token_inside_a_word_keeps_it_whole() -> None:
    made = wordpiece()
    made.add_tokens(["xyz"])
    assert not Elision(made, 300).works


@pytest.mark.parametrize("gaps", [[(3, 10)], [(3, 10), (5, 17)]])
def test_places_of_a_shortened_text(gaps: Sequence[tuple[int, int]]) -> None:
    text = list(range(40))
    left = text[:3] + text[13:15] + text[22:] if len(gaps) == 2 else text[:3] + text[13:]
    from leanbert.tokenization.elision import Origin

    origin = Origin(gaps=tuple(gaps))
    places = [i for i in range(len(left)) if i not in {3, 5}]  # no token begins at a gap
    assert origin.restore(np.array(places)).tolist() == [left[i] for i in places]
    assert origin.after(6).restore(np.array([1])).tolist() == [left[7]]
