"""The windows of a long text are found piece by piece: the same windows, in little memory."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from leanbert.tokenization import Segments, Tokenizer, pieces, segment, segments
from leanbert.tokenization.pieces import Pieces
from tests.helpers import tiny_words
from tests.helpers.long_texts import FAMILIES, random_text, tokenizer_of
from tests.helpers.processes import python


def check_equal(found: Segments, wanted: Segments) -> None:
    assert found.counts == wanted.counts
    for name in (
        *("input_ids", "token_type_ids", "lengths", "offsets", "word_ids"),
        *("sequence_ids", "special_tokens_mask"),
    ):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name


def check_family(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, *, comes_apart: bool = True
) -> None:
    monkeypatch.setattr(pieces, "_PIECE", 150)
    monkeypatch.setattr(segments, "_CHUNK_CHARACTERS", 150)
    source = random.Random(7)  # noqa: S311 - seeded texts, not secrets
    texts = ["Profit " + random_text(source, source.choice([5, 100, 300])) for _ in range(15)]
    question = "What rose, and why?"
    calls: list[tuple[list[Any], dict[str, Any]]] = [
        (texts, {"stride": 0}),
        (texts, {"stride": 7, "max_length": 20}),
        ([(question, text) for text in texts], {"stride": 3, "strategy": "only_second"}),
        ([(text, question) for text in texts], {"stride": 0, "strategy": "only_first"}),
    ]
    used: list[bool] = []
    real = Pieces.windows

    def windows(self: Pieces, *arguments: Any) -> Any:
        found = real(self, *arguments)
        used.append(found is not None)
        return found

    for given, options in calls:
        monkeypatch.setattr(Pieces, "windows", windows)
        found = segment(tokenizer, given, **options)
        monkeypatch.setattr(Pieces, "windows", lambda *_: None)
        check_equal(found, segment(tokenizer, given, **options))
    assert sum(used) > 20 if comes_apart else not any(used)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_windows_are_the_same(
    families: Any, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = families.checkpoint(family, "text-classification")
    check_family(tokenizer_of(folder, tmp_path / "it", "right"), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_of_real_tokenizers(
    real_families: Any, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = real_families.checkpoint(family, "text-classification")
    # XLM-RoBERTa's strips spaces at the ends, ModernBERT has tokens that hold spaces.
    apart = family not in {"xlm-roberta", "modernbert"}
    check_family(tokenizer_of(folder, tmp_path / "it", "right"), monkeypatch, comes_apart=apart)


def test_tokenizers_whose_texts_do_not_come_apart_are_read_whole() -> None:
    from tokenizers import AddedToken, normalizers, pre_tokenizers

    text = "profit rose " * 20_000
    made = tiny_words.tokenizer()
    found = Pieces(made).windows(text, False, 32, 4)
    assert found is not None
    assert len(found) == -(-(40_000 - 30) // 26) + 1
    made.normalizer = normalizers.Sequence([made.normalizer, normalizers.Strip()])
    assert Pieces(made).windows(text, False, 32, 4) is None
    for token in (AddedToken("<firm>", rstrip=True), AddedToken("new york")):
        made = tiny_words.tokenizer()
        made.add_tokens([token])
        assert Pieces(made).windows(text, False, 32, 4) is None
    made = tiny_words.tokenizer()
    made.pre_tokenizer = pre_tokenizers.Punctuation()
    assert Pieces(made).windows(text, False, 32, 4) is None
    for other in ("profit " * 9, "profit" * 20_000, " " * 100_000):
        assert Pieces(tiny_words.tokenizer()).windows(other, False, 32, 4) is None


def test_lone_surrogates_become_replacements_as_before(tiny_bundle: Path) -> None:
    tokenizer = Tokenizer(tiny_bundle / "tokenizer.json", 32)
    text = "profit rose " * 8000
    found = segment(tokenizer, [text + "\ud800 sales"], stride=4)
    wanted = segment(tokenizer, [text + "\ufffd sales"], stride=4)
    check_equal(found, wanted)


MEASURE = """
import resource, sys
from pathlib import Path
from leanbert.tokenization import Tokenizer, segment
tokenizer = Tokenizer(Path(sys.argv[1]) / "tokenizer.json", 128)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
segment(tokenizer, ["profit rose"] * 3, stride=8)
text = "Operating profit rose to EUR 13.1 mn. " * 50_000
before = peak()
found = segment(tokenizer, [text], stride=8)
print(len(found.input_ids), peak() - before)
"""


def test_windows_of_a_megabyte_take_little(families: Any, tmp_path: Path) -> None:
    done = python(["-c", MEASURE, families.checkpoint("bert", "text-classification")], tmp_path)
    assert done.returncode == 0, done.stderr
    tokens, grown = map(float, done.stdout.split())
    assert tokens > 500_000
    assert grown * 2**20 < 120 * tokens  # the library takes more than 1,000 bytes per token
