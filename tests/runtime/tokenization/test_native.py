"""The native library's tokenizer in the place of the tokenizers library: the same in every case."""

from __future__ import annotations

import json
import random
import threading
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leanbert import Bundle, pipeline
from leanbert.engines.native.binding import library_with
from leanbert.errors import InputError
from leanbert.pipelines import embedded_bundle
from leanbert.tokenization import Encodings, Tokenizer, native
from leanbert.tokenization.chunks import MOST_CHARACTERS
from leanbert.tokenization.native import NativeTokenizer
from tests.helpers.processes import python
from tests.helpers.random_texts import TokenizerCase, random_case, random_text
from tests.helpers.real_texts import AWKWARD, LONG

SURROGATES = ("\ud800", "profit \udfff rose\ud83d", "\ud83d\ude80")


@pytest.fixture(autouse=True)
def _needs_the_library() -> None:
    if library_with("lb_tokenize") is None:
        pytest.skip("the native library is not installed here, or is older than its tokenizer")


def both(folder: Path, max_length: int) -> tuple[Tokenizer, Tokenizer]:
    """The same tokenizer by the native library, and by the tokenizers library alone."""
    path = folder / "tokenizer.json"
    return Tokenizer(path, max_length), Tokenizer(path, max_length, native=False)


def content(found: Encodings) -> tuple[Any, ...]:
    arrays = found.input_ids, found.token_type_ids, found.lengths
    return (*(array.tolist() for array in arrays), list(found.cut), found.max_length)


def check_equal(folder: Path, limit: int, texts: Sequence[str], lengths: Sequence[int]) -> None:
    fast, slow = both(folder, limit)
    assert fast._native is not None
    for length in (None, *lengths):
        found = fast.encode(texts, max_length=length)
        assert content(found) == content(slow.encode(texts, max_length=length))
    for text in texts:  # alone, which takes a shorter way
        assert content(fast.encode([text])) == content(slow.encode([text]))
    assert fast.count_tokens(texts) == slow.count_tokens(texts)


def write(folder: Path, case: TokenizerCase) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(case.content, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(case.config, encoding="utf-8")


@pytest.mark.parametrize("seed", range(12))
def test_random_tokenizers_and_texts(seed: int, tmp_path: Path) -> None:
    """Vocabularies, added tokens, sides that are cut, limits; random Unicode."""
    draw = random.Random(seed)  # noqa: S311 - seeded cases, not secrets
    content = (embedded_bundle() / "tokenizer.json").read_text(encoding="utf-8")
    texts = [random_text(draw) for _ in range(130)] + [*SURROGATES, "", "\0", "a\0b"]
    draw.shuffle(texts)
    while True:  # until one is not refused
        case = random_case(draw, content if seed % 2 else None)
        settings = json.loads(case.config)
        if NativeTokenizer.of(case.content.encode(), settings) is not None:
            break
    write(tmp_path / "it", case)
    check_equal(tmp_path / "it", case.max_tokens or 128, texts, [7, 30])


@pytest.mark.parametrize("side", ["left", "right"])
def test_awkward_and_long_texts(side: str, tmp_path: Path) -> None:
    write(
        tmp_path / "it",
        TokenizerCase(
            (embedded_bundle() / "tokenizer.json").read_text(encoding="utf-8"),
            json.dumps({"truncation_side": side, "tokenizer_class": "BertTokenizer"}),
            None,
        ),
    )
    huge = "profit rose to EUR 13.1 mn, " * 6000
    assert len(huge) > MOST_CHARACTERS
    texts = [*AWKWARD, LONG, *SURROGATES, huge, "[MASK] [SEP]", huge[: MOST_CHARACTERS - 1]]
    check_equal(tmp_path / "it", 64, texts, [3, 5])


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-multilingual-uncased"])
def test_published_tokenizers(name: str, data_dir: Path) -> None:
    draw = random.Random(name)  # noqa: S311 - seeded texts, not secrets
    sentences = (data_dir / "phrasebank" / "Sentences_AllAgree.txt").read_bytes().splitlines()
    texts = [line.decode("latin-1") for line in sentences[:400]]
    texts += [random_text(draw) for _ in range(200)]
    check_equal(data_dir / "tokenizers" / name, 512, texts, [9])


def test_no_character_has_more_tokens_than_there_is_room_for() -> None:
    """Every token is at least one character of the text as it is normalized."""
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            character = chr(code)
            normalized = unicodedata.normalize("NFD", character).lower()
            most = native._PER_BYTE * len(character.encode())
            assert len(unicodedata.normalize("NFD", normalized)) <= most, hex(code)


def test_which_text_is_no_text(tiny_bundle: Path) -> None:
    tokenizer = Tokenizer(tiny_bundle / "tokenizer.json", 32)
    wrong: Any = ["profit", "\ud800", 5]
    with pytest.raises(InputError, match=r"^text 9: expected a string, got int"):
        tokenizer.encode(wrong, first_index=7)
    with pytest.raises(InputError, match="max_length is 2; 2 special tokens leave no room"):
        tokenizer.encode(["profit"], max_length=2)


def test_pairs_and_texts_are_mixed(tiny_bundle: Path) -> None:
    fast, slow = both(tiny_bundle, 12)
    texts: list[Any] = ["profit", ("sales", "profit " * 9), "a loss"] * 40
    texts = ["sales"] * 64 + texts
    assert content(fast.encode(texts)) == content(slow.encode(texts))
    assert fast.added_tokens(pair=False) == slow.added_tokens(pair=False) == 2
    assert fast.added_tokens(pair=True) == slow.added_tokens(pair=True) == 3


def test_bundles_that_need_places_have_the_other_library(
    make_bundle: Callable[..., Path], tiny_bundle: Path
) -> None:
    assert Tokenizer.of(Bundle.open(make_bundle(task="token-classification")))._native is None
    assert Tokenizer.of(Bundle.open(tiny_bundle))._native is not None


def test_the_answers_are_the_same_without_the_library(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["profit rose", "a bad loss " * 20, "\ud800", ""]
    found = pipeline("text-classification", tiny_bundle)(texts, top_k=None, truncation=True)
    monkeypatch.setattr(native, "library_with", lambda _: None)
    without = pipeline("text-classification", tiny_bundle)
    assert without.runner.tokenizer._native is None
    assert without(texts, top_k=None, truncation=True) == found


def test_threads_share_a_tokenizer(tiny_bundle: Path) -> None:
    tokenizer = Tokenizer(tiny_bundle / "tokenizer.json", 32)
    texts = [f"profit rose {i} a bad loss" * (i % 5) for i in range(300)]
    wanted = content(tokenizer.encode(texts))
    meeting = threading.Barrier(8)

    def encode(number: int) -> tuple[Any, ...]:
        meeting.wait()
        return content(tokenizer.encode(texts, max_length=None if number % 2 else 31))[:2]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encode, range(8)))
    assert found[1::2] == [wanted[:2]] * 4
    assert found[::2] == [content(tokenizer.encode(texts, max_length=31))[:2]] * 4


def test_an_answer_needs_no_tokenizers_library(tiny_bundle: Path, tmp_path: Path) -> None:
    script = """
import sys
from leanbert import pipeline
classify = pipeline("text-classification", sys.argv[1])
print(classify("profit rose")[0]["label"], len(classify(["a bad loss"] * 3)))
print("tokenizers" in sys.modules)
classify({"text": "profit", "text_pair": "loss"})
print("tokenizers" in sys.modules)
"""
    done = python(["-c", script, tiny_bundle], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "positive 3\nFalse\nTrue\n"
