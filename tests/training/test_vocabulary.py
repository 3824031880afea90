"""Pruning a WordPiece vocabulary, on a small tokenizer made here."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from leanbert_training import vocabulary

WORDS = ["the", "profit", "rose", "fell", "loss", "zebra", "quark", "##s", "##ed", "##ing", "lay"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """tokenizer.json of a WordPiece tokenizer in BERT's order: specials, unused, letters, words."""
    pieces = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [*".,$%!", *LETTERS, "語", "é", *(f"##{c}" for c in LETTERS), "##語", "##!", *WORDS]
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(list(vocabulary.SPECIAL))
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    return content


def chosen(whole: dict[str, Any], *texts: str, more: int = 5) -> list[str]:
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    tokenizer.no_padding()
    counts = vocabulary.count_pieces(tokenizer, texts)
    known = whole["model"]["vocab"]
    floor = sum(map(vocabulary.is_floor, known))
    return vocabulary.choose_pieces(known, [(1.0, counts)], floor + more)


def pruned(whole: dict[str, Any], pieces: list[str]) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(vocabulary.prune_tokenizer(whole, pieces)))


def test_the_pieces_in_use_are_kept(whole: dict[str, Any]) -> None:
    pieces = chosen(whole, "the profits rose", "the losses", "https://t.example/quark", more=5)

    assert {"the", "profit", "rose", "loss", "##s"} <= set(pieces)
    assert not {"zebra", "quark", "[unused0]"} & set(pieces)
    assert pieces == sorted(pieces, key=whole["model"]["vocab"].__getitem__)


def test_the_floor_is_kept_whatever_the_texts_hold(whole: dict[str, Any]) -> None:
    pieces = chosen(whole, "the", more=1)

    assert {*vocabulary.SPECIAL, "$", "x", "##x", "7", "##7", "é"} <= set(pieces)
    assert not {"語", "##語", "##!"} & set(pieces)  # another script; punctuation stands alone


@pytest.mark.parametrize("size", [3, 10_000])
def test_an_impossible_size(whole: dict[str, Any], size: int) -> None:
    with pytest.raises(ValueError, match=f"size is {size}; expected"):
        vocabulary.choose_pieces(whole["model"]["vocab"], [(1.0, Counter(["the"]))], size)


def test_small_corpora_are_not_drowned(whole: dict[str, Any]) -> None:
    known = whole["model"]["vocab"]
    floor = sum(map(vocabulary.is_floor, known))
    large, small = Counter({"zebra": 10_000, "quark": 9_000}), Counter({"profit": 1})

    pieces = vocabulary.choose_pieces(known, [(0.5, large), (0.5, small)], floor + 2)

    assert {"zebra", "profit"} <= set(pieces)
    assert "quark" not in pieces


def test_texts_of_kept_pieces_are_cut_as_before(whole: dict[str, Any]) -> None:
    pieces = chosen(whole, "the profits rose fell losses", more=6)
    old, new = Tokenizer.from_str(json.dumps(whole)), pruned(whole, pieces)
    old.no_padding()
    rng = random.Random(0)
    words = ["the", "profits", "rose", "fell", "losses", "x7", "$", "5%", "é", "Profits"]
    texts = [" ".join(rng.choices(words, k=rng.randint(0, 12))) for _ in range(200)]
    compared = 0
    for text in texts:
        tokens = old.encode(text).tokens
        assert set(tokens) <= set(pieces)
        assert new.encode(text).tokens == tokens
        assert new.encode(text).offsets == old.encode(text).offsets
        compared += len(tokens)
    assert compared > 1000


def test_other_words_fall_into_kept_pieces(whole: dict[str, Any]) -> None:
    new = pruned(whole, chosen(whole, "the profits rose fell losses", more=5))

    assert new.encode("zebras").tokens == ["[CLS]", "z", "##e", "##b", "##r", "##a", "##s", "[SEP]"]
    assert new.encode("語").tokens == ["[CLS]", "[UNK]", "[SEP]"]


def test_the_ids_are_dense_and_the_special_ones_follow(whole: dict[str, Any]) -> None:
    pieces = chosen(whole, "the profit")
    content = vocabulary.prune_tokenizer(whole, pieces)
    ids = content["model"]["vocab"]

    assert list(ids.values()) == list(range(len(pieces)))
    assert (content["truncation"], content["padding"]) == (None, None)
    assert {t["content"]: t["id"] for t in content["added_tokens"]} == {
        name: ids[name] for name in vocabulary.SPECIAL
    }
    first, *_, last = pruned(whole, pieces).encode("profit").ids
    assert (first, last) == (ids["[CLS]"], ids["[SEP]"])
    assert whole["truncation"]  # the caller's is as it was


def test_an_unknown_piece(whole: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not in the vocabulary: \\['nonsense'\\]"):
        vocabulary.prune_tokenizer(whole, ["[PAD]", "nonsense"])


def test_the_embeddings_follow_their_pieces(whole: dict[str, Any], tmp_path: Path) -> None:
    known = whole["model"]["vocab"]
    config = transformers.BertConfig(
        vocab_size=len(known),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=3,
    )
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config).eval()
    pieces = chosen(whole, "the profit rose")
    text = "The profit rose 5%!"
    old, new = Tokenizer.from_str(json.dumps(whole)), pruned(whole, pieces)
    old.no_padding()
    with torch.inference_mode():
        before = model(torch.tensor([old.encode(text).ids])).logits
        vocabulary.prune_checkpoint(model, known, pieces)
        after = model(torch.tensor([new.encode(text).ids])).logits

    assert model.config.vocab_size == len(pieces) < len(known)
    assert old.encode(text).ids != new.encode(text).ids
    torch.testing.assert_close(after, before, rtol=0, atol=0)

    vocabulary.write_tokenizer(tmp_path, vocabulary.prune_tokenizer(whole, pieces))
    model.save_pretrained(tmp_path)
    read = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert read(text)["input_ids"] == new.encode(text).ids
