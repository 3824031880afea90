"""A long text is cut before it is tokenized: the same tokens, in little memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from leanbert.tokenization import Segments, Tokenizer, segment
from leanbert.tokenization.elision import Origin
from leanbert.tokenization.shortening import Shortener
from tests.helpers import tiny_words
from tests.helpers.long_texts import FAMILIES, random_text, tokenizer_of
from tests.helpers.processes import python


@contextmanager
def whole() -> Iterator[None]:
    """Within, all of each text is tokenized, as the library does it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shortener, "shorten", lambda _, texts, *__, **___: (texts, {}))
        yield


def content(found: Any) -> list[Any]:
    names = ["input_ids", "token_type_ids", "lengths", "cut"]
    if isinstance(found, Segments):
        names += ["offsets", "sequence_ids", "special_tokens_mask"]
    return [getattr(found, name) for name in names]


def check_equal(found: Any, wanted: Any) -> None:
    for one, other in zip(content(found), content(wanted), strict=True):
        assert list(map(str, one)) == list(map(str, other))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_that_are_kept_are_the_same(
    families: Any, tmp_path: Path, family: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = families.checkpoint(family, "text-classification")
    check_family(tokenizer_of(folder, tmp_path / "it", side), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_of_real_tokenizers(
    real_families: Any, tmp_path: Path, family: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = real_families.checkpoint(family, "text-classification")
    check_family(tokenizer_of(folder, tmp_path / "it", side), monkeypatch)


def check_family(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(3)  # noqa: S311 - seeded texts, not secrets
    texts = [random_text(source, source.choice([5, 300, 700])) for _ in range(8)]
    short = "Sales fell, the company said."
    pairs = [(text, short) for text in texts] + [(short, text) for text in texts]
    # All of two long texts takes memory in proportion to both lengths: few, and a whole window.
    both = [(random_text(source, 90), random_text(source, 90 + i % 3)) for i in range(3)]
    calls: list[tuple[Any, list[Any], dict[str, Any]]] = [
        (tokenizer.encode, texts, {}),
        (tokenizer.encode, texts, {"max_length": 9}),
        (tokenizer.encode, pairs, {}),
        (tokenizer.encode, both, {"max_length": 20}),
        (tokenizer.encode, both, {"max_length": 21}),
        (segment_with(tokenizer), texts, {"max_length": 12}),
        (segment_with(tokenizer), pairs[:8], {"strategy": "only_first"}),
        (segment_with(tokenizer), pairs[8:16], {"strategy": "only_second"}),
    ]
    seen: list[int] = []
    real = Shortener._part

    def part(self: Shortener, text: str, *sizes: int) -> tuple[str, int]:
        found = real(self, text, *sizes)
        seen.append(len(text) - len(found[0]))
        return found

    monkeypatch.setattr(Shortener, "_part", part)
    for call, given, options in calls:
        found = call(given, **options)
        with whole():
            check_equal(found, call(given, **options))
    assert sum(lost > 0 for lost in seen) > 20  # something was cut off before


def segment_with(tokenizer: Tokenizer) -> Any:
    return lambda texts, **options: segment(tokenizer, texts, **options)


def test_a_text_that_is_too_long_is_refused_as_before(tiny_bundle: Path) -> None:
    tokenizer = Tokenizer(tiny_bundle / "tokenizer.json", 32)
    long = "profit rose " * 5000
    with pytest.raises(InputError, match=r"^text 1: longer than 32 tokens"):
        tokenizer.encode(["sales", long], truncation=False)
    assert tokenizer.encode(["sales", long]).cut == [1]
    assert tokenizer.encode([long, long + "\ud800"]).lengths.tolist() == [32, 32]


def test_tokenizers_that_look_over_white_space_get_the_whole_text(tmp_path: Path) -> None:
    """Without a splitter into words, or with a rule that reaches over spaces, no place is safe."""
    from tokenizers import Regex, normalizers, pre_tokenizers

    for change in (
        {"pre_tokenizer": pre_tokenizers.Metaspace(split=False)},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(use_regex=False)},
        {"pre_tokenizer": pre_tokenizers.Punctuation()},
        {"normalizer": normalizers.Replace(Regex("new york"), "ny")},
        {"normalizer": normalizers.Replace("new york", "ny")},
    ):
        made = tiny_words.tokenizer()
        for name, step in change.items():
            setattr(made, name, step)
        text = "profit " * 5000
        [part], origins = Shortener(made, "right").shorten([text], 8)
        assert part == text
        assert origins == {0: (Origin(), Origin())}
    text = "profit rose " * 5000
    made = tiny_words.tokenizer()
    made.normalizer = normalizers.Sequence(
        [made.normalizer, normalizers.Replace(Regex(" {2,}"), " ")]
    )
    [part], origins = Shortener(made, "right").shorten([text], 8)
    assert len(part) < 2000
    assert origins == {0: (Origin(), Origin())}


MEASURE = """
import resource, sys
from leanbert import pipeline
from leanbert.tokenization import Tokenizer
from pathlib import Path
tokenizer = Tokenizer(Path(sys.argv[1]) / "tokenizer.json", 16)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
tokenizer.encode(["profit rose"] * 3)
text = eval(sys.argv[2])
before = peak()
for given in (text, (text, "sales"), ("sales", text)):
    assert 0 < tokenizer.encode([given], truncation=True).lengths.tolist()[0] <= 16
print(len(text), peak() - before)
"""


WORDS = '"Operating profit rose to EUR 13.1 mn. " * 270_000'
ONE_WORD = '"operatingprofitrosetothirteen" * 350_000'


@pytest.mark.parametrize("text", [WORDS, ONE_WORD])
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_a_text_of_ten_megabytes_takes_little(
    families: Any, tmp_path: Path, family: str, text: str
) -> None:
    folder = families.checkpoint(family, "text-classification")
    done = python(["-c", MEASURE, folder, text], tmp_path)
    assert done.returncode == 0, done.stderr
    characters, grown = map(float, done.stdout.split())
    assert characters > 10e6
    # MiB; all tokens of the words would be 1,270, and the one word 550. The vocabulary is read
    # once where places inside words are proved.
    assert grown < (30 if text == WORDS else 100)


@pytest.mark.parametrize("text", [WORDS, ONE_WORD])
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "xlm-roberta", "albert"])
def test_a_text_that_is_cut_on_the_left_takes_little(
    families: Any, tmp_path: Path, family: str, text: str
) -> None:
    folder = families.checkpoint(family, "text-classification")
    tokenizer_of(folder, tmp_path / "it", "left")
    done = python(["-c", MEASURE, tmp_path / "it", text], tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[1]) < 100


def test_two_long_parts_of_a_pair_take_little(families: Any, tmp_path: Path) -> None:
    """Which of them has more tokens is counted piece by piece."""
    folder = families.checkpoint("bert", "text-classification")
    both = MEASURE.replace("in (text, ", "in ((text[:900_000], text[:1_000_000]), ")
    done = python(["-c", both, folder, WORDS], tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[1]) < 30


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_two_huge_words_of_a_pair_take_little(
    families: Any, tmp_path: Path, family: str, side: str
) -> None:
    """Their tokens are counted between places that no token reaches over."""
    folder = families.checkpoint(family, "text-classification")
    tokenizer_of(folder, tmp_path / "it", side)
    both = MEASURE.replace("in (text, ", "in ((text[:900_000], text[:1_000_000]), ")
    done = python(["-c", both, tmp_path / "it", ONE_WORD], tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[1]) < 100
