"""Arguments that all tasks share: what they mean, and which make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline, verify
from leanbert.errors import InputError


@pytest.mark.parametrize("threads", [0, -1, "a", 1.5, True, 10**11])
def test_threads_that_make_no_sense(tiny_bundle: Path, threads: Any) -> None:
    with pytest.raises(InputError, match="threads is"):
        pipeline("text-classification", tiny_bundle, threads=threads)
    with pytest.raises(InputError, match="threads is"):
        verify(tiny_bundle, threads=threads)


@pytest.mark.parametrize("name", ["batch_size", "max_length"])
@pytest.mark.parametrize("value", ["a", 3.5, 0, -1, True])
def test_counts_that_make_no_sense(classify: Any, name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is"):
        classify(["profit"], **{name: value})


def test_transformers_names_of_truncation(classify: Any) -> None:
    long = "profit " * 100
    assert classify(long, truncation="longest_first") == classify(long, truncation=True)
    with pytest.raises(InputError, match="longer than 32 tokens"):
        classify(long, truncation="do_not_truncate")
    with pytest.raises(InputError, match="truncation is 'only_third'; expected True, False or"):
        classify(long, truncation="only_third")


def test_few_tokenizers_are_kept(classify: Any) -> None:
    pair = {"text": "profit rose " * 20, "text_pair": "sales"}
    wanted = classify(pair, max_length=8, truncation=True)
    for length in [*range(5, 30), 8]:
        got = classify(pair, max_length=length, truncation=True)
    assert got == wanted
    assert 1 < len(classify.runner.tokenizer._copies._kept) <= 4
