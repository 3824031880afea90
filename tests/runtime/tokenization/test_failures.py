"""Errors of the tokenizers library are known by their types; all others pass through."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from leanbert.tokenization.failures import failure
from tests.helpers import tiny_words

PanicException = type("PanicException", (BaseException,), {})


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Exception("no such\nthing"), "no such"),
        (ValueError("invalid type"), "invalid type"),
        (Exception(""), "it does not say why"),
        (PanicException("index out of bounds"), "index out of bounds"),
        (TypeError("a"), None),
        (KeyboardInterrupt(), None),
        (MemoryError(), None),
    ],
)
def test_which_errors_are_the_librarys(error: BaseException, line: str | None) -> None:
    assert failure(error) == line


def test_the_librarys_own_panic_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    content = tiny_words.tokenizer().to_str()
    wrong = '"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}'
    start = content.index('"normalizer"')
    end = content.index('"pre_tokenizer"')
    with pytest.raises(BaseException, match="Cannot parse") as caught:
        Tokenizer.from_str(content[:start] + wrong + "," + content[end:])
    assert failure(caught.value)
    capfd.readouterr()  # the stack trace that it prints, which is why such files are refused before
