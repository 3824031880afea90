"""fill-mask says what transformers' pipeline says, for every family."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.errors import InputError, LeanBertWarning, TaskError
from tests.helpers.parity import check_same
from tests.helpers.real_texts import AWKWARD, LONG
from tests.helpers.tiny_bundles import Tiny, reference
from tests.helpers.tiny_words import VOCABULARY

FAMILIES = [
    "bert",
    "roberta",
    "distilbert",
    "electra",
    "albert",
    "xlm-roberta",
    "mpnet",
    "deberta-v2",
    "modernbert",
]
ARGUMENTS: list[dict[str, Any]] = [
    {"top_k": 1},
    {"top_k": 3},
    {"targets": "the"},
    {"targets": ["the", "a", "the"], "top_k": 2},
    {"targets": ["the", "profitably"]},  # the second is not one token of any vocabulary here
]
pytestmark = pytest.mark.filterwarnings("ignore:.*nothing of it is verified")


@pytest.fixture(scope="module")
def both(families: Any) -> Callable[[str], tuple[Any, Any]]:
    """Our pipeline and transformers' for a family."""

    @cache
    def made(family: str) -> tuple[Any, Any]:
        plain = families.plain(family, "fill-mask")
        return pipeline("fill-mask", plain, threads=1), families.reference(family, "fill-mask")

    return made


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:target .* is not in the model's vocabulary")
def test_parity(both: Callable[[str], tuple[Any, Any]], family: str) -> None:
    fill, reference = both(family)
    mask = reference.tokenizer.mask_token
    for i, text in enumerate(AWKWARD):
        form = i % 3 if len(text) < 100 else 0  # the end of a long one is cut off
        masked = (f"{mask} {text}", f"{text}{mask}", f"{mask}{text} {mask}")[form]
        if "<mask>" in masked.replace(mask, "") or "[MASK]" in masked.replace(mask, ""):
            continue
        theirs = reference(masked, tokenizer_kwargs={"truncation": True})
        check_same(fill(masked, truncation=True), theirs, masked)
    long = f"{mask} {LONG}"
    theirs = reference(long, tokenizer_kwargs={"truncation": True})
    check_same(fill(long, truncation=True), theirs)
    check_same(fill(long, tokenizer_kwargs={"truncation": True}), theirs)
    one, two = f"Profit {mask} in May.", f"The {mask} of the bank {mask}."
    for options in ARGUMENTS:
        for inputs in (one, two, [one], [one, two]):
            check_same(fill(inputs, **options), reference(inputs, **options), str(options))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_parity_on_real_texts_with_real_tokenizers(
    real_families: Any, data_dir: Path, family: str
) -> None:
    with (data_dir / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        asked = [row["text"] for row in csv.DictReader(file)][::41]
    with (data_dir / "twitter_financial_news" / "sent_valid.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        texts = [row["text"] for row in csv.DictReader(file)][::48] + asked
    fill = pipeline("fill-mask", real_families.plain(family, "fill-mask"), threads=1)
    theirs = real_families.reference(family, "fill-mask")
    masked = []
    for i, text in enumerate(texts):
        words = text.split()
        words[i % len(words)] = theirs.tokenizer.mask_token
        masked.append(" ".join(words))
    assert len(masked) > 120
    check_same(fill(masked, top_k=3), theirs(masked, top_k=3))


@pytest.fixture(scope="module")
def fill(make_bundle: Callable[..., Path]) -> Any:
    return pipeline(model=make_bundle(task="fill-mask"), threads=1)


def test_answers_are_softmax_over_all_words(fill: Any) -> None:
    text = "profit [MASK] in the quarter"
    logits = reference(Tiny(task="fill-mask"), text)[2]
    wanted = np.exp(logits) / np.exp(logits).sum()
    found = fill(text, top_k=len(VOCABULARY))
    assert [row["token"] for row in found] == list(np.argsort(-wanted, kind="stable"))
    for row in found:
        assert list(row) == ["score", "token", "token_str", "sequence"]
        assert row["score"] == pytest.approx(wanted[row["token"]], abs=1e-6)
    assert len(fill(text)) == 5
    assert fill(text, top_k=10**6) == found
    assert fill(text) == found[:5]
    # Texts of other lengths share the batch.
    assert fill([text, "[MASK]"])[0] == found[:5]
    assert list(fill.stream(iter([text]))) == [found[:5]]


def test_no_mask(fill: Any) -> None:
    with pytest.raises(InputError, match=r"no mask token \(\[MASK\]\) in the 4 tokens .*profit"):
        fill(["a [MASK]", "profit rose"])


def test_a_target_that_the_vocabulary_lacks(fill: Any) -> None:
    with pytest.warns(LeanBertWarning, match="'profitable' is not in .* counts as 'profit'"):
        found = fill("[MASK] rose", targets=["profitable", "loss"])
    assert {row["token_str"] for row in found} == {"profit", "loss"}
    with (
        pytest.warns(LeanBertWarning, match="'' is not in .* is ignored"),
        pytest.raises(InputError, match="names no token"),
    ):
        fill("[MASK] rose", targets=[""])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"targets": 3}, "targets is 3"),
        ({"targets": ["a", 3]}, "targets is"),
        ({"targets": []}, "names no token"),
        ({"top_k": 0}, "top_k is 0"),
        (
            {"tokenizer_kwargs": {"stride": 3}},
            "tokenizer_kwargs is .* it may have the keys truncation",
        ),
        ({"tokenizer_kwargs": {"truncation": True}, "truncation": True}, "truncation is given twi"),
    ],
)
def test_arguments_that_make_no_sense(fill: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fill("[MASK]", **options)


def test_a_tokenizer_without_a_mask(make_bundle: Callable[..., Path]) -> None:
    folder = make_bundle(task="fill-mask", manifest=False)
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("[MASK]", "[GAP]"))
    with pytest.raises(TaskError, match="no mask token"):
        pipeline("fill-mask", folder)
    (folder / "special_tokens_map.json").write_text('{"mask_token": {"content": "[GAP]"}}')
    assert pipeline("fill-mask", folder)("profit [GAP]", top_k=1)[0]["sequence"]
