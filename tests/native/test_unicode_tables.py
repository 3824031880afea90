"""The C library's tables of characters: every code point against the tokenizers package."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers

from tests.helpers.native_text import normalize, unicode_properties

ROOT = Path(__file__).resolve().parents[2]
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
CHUNKS = [CHARACTERS[start : start + 256] for start in range(0, len(CHARACTERS), 256)]

SPACE, PUNCTUATION, WORD, DECOMPOSES = 1 << 5, 1 << 6, 1 << 7, 1 << 8  # of unicode.h


def bert(part: int) -> normalizers.BertNormalizer:
    """BERT's normalizer that does one thing."""
    return normalizers.BertNormalizer(
        clean_text=part == 0,
        handle_chinese_chars=part == 1,
        strip_accents=part == 2,
        lowercase=part == 3,
    )


@pytest.mark.parametrize(
    ("steps", "normalizer"),
    [
        (("clean",), bert(0)),
        (("chinese",), bert(1)),
        (("decompose", "drop_accents"), bert(2)),
        (("decompose",), normalizers.NFD()),
        (("lower",), normalizers.Lowercase()),
        (("drop_marks",), normalizers.StripAccents()),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_every_character_is_normalized_alike(
    steps: tuple[str, ...], normalizer: normalizers.Normalizer
) -> None:
    for chunk in CHUNKS:
        text = "a".join(chunk)  # so that each stands alone
        assert normalize(text, *steps) == normalizer.normalize_str(text), f"U+{ord(chunk[0]):04X}"


def test_marks_are_put_in_the_same_order() -> None:
    draw = random.Random(0)  # noqa: S311
    known = unicode_properties()
    marks = [chr(code) for code in np.flatnonzero(known[:, 1])]
    decomposed = [chr(code) for code in np.flatnonzero(known[:, 0] & DECOMPOSES)]
    for _ in range(500):
        drawn = (draw.choice(marks if draw.random() < 0.8 else decomposed) for _ in range(60))
        text = "".join(drawn)
        assert normalize(text, "decompose") == normalizers.NFD().normalize_str(text)


def test_every_character_is_split_alike() -> None:
    """Whether it is white space or a word of its own, from where the others are split."""
    flags = unicode_properties()[:, 0]
    splitter = pre_tokenizers.BertPreTokenizer()
    for chunk in CHUNKS:
        expected = ["a"]
        for character in chunk:
            kind = flags[ord(character)]
            if kind & SPACE:
                expected.append("a")
            elif kind & PUNCTUATION:
                expected += [character, "a"]
            else:
                expected[-1] += character + "a"
        found = [piece for piece, _ in splitter.pre_tokenize_str("a" + "a".join([*chunk, ""]))]
        assert found == expected, f"U+{ord(chunk[0]):04X}"


def test_every_word_character_is_known() -> None:
    """A token that wants to stand alone is found where the next character is none."""
    base = tokenizers.Tokenizer(models.BPE())
    base.add_tokens([AddedToken("@@", single_word=True, normalized=False)])
    flags = unicode_properties()[:, 0]
    for chunk in CHUNKS:
        text = "".join(f"@@{character} " for character in chunk)
        found = {first // 4 for first, _ in base.encode(text).offsets}
        alone = {i for i, character in enumerate(chunk) if not flags[ord(character)] & WORD}
        assert found == alone, f"U+{ord(chunk[0]):04X}"


@pytest.mark.slow
def test_the_committed_tables_are_what_the_script_writes() -> None:
    script = ROOT / "runtime" / "native" / "tools" / "unicode_tables.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
