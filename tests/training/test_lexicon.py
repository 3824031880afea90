"""The exchange of hardly used pieces for words of news."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from leanbert_training import lexicon
from leanbert_training.vocabulary import SPECIAL, is_floor

LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
WHOLE = [*SPECIAL, *LETTERS, "gain", "loss", "hello", "dump", "raise", "buy", "back"]


def tokenizer_content(pieces: list[str]) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
        },
    }


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "wanted_words", lambda: {"dump": (), "buyback": ("buy", "back")})
    monkeypatch.setattr(lexicon, "BONUS", 0.4)


def chosen() -> tuple[list[str], list[str]]:
    present = [*SPECIAL, *LETTERS, "gain", "loss", "hello"]
    kinds = [(1.0, ["gain gain gain loss loss hello"]), (0.5, ["dump the gain"])]
    return present, lexicon.choose(tokenizer_content(WHOLE), present, kinds)


@pytest.mark.usefixtures("words")
def test_wanted_words_take_the_place_of_the_least_used_pieces() -> None:
    present, new = chosen()
    assert len(new) == len(present)
    assert {piece for piece in present if is_floor(piece)} <= set(new)
    assert set(new) - set(present) == {"dump", "buyback"}
    assert set(present) - set(new) == {"loss", "hello"}
    assert new[-1] == "buyback"  # a word that the published vocabulary lacks comes last


@pytest.mark.usefixtures("words")
def test_a_piece_keeps_its_embedding_and_a_new_one_gets_the_published_one(
    classifier: Any,
) -> None:
    present, new = chosen()
    table = torch.nn.Embedding(len(present), 32)
    classifier.set_input_embeddings(table)
    published = torch.randn(len(WHOLE), 32)

    content = lexicon.exchange(classifier, published, tokenizer_content(WHOLE), present, new)

    found = classifier.get_input_embeddings().weight.data
    assert found.shape == (classifier.config.vocab_size, 32) == (len(present), 32)
    torch.testing.assert_close(found[new.index("gain")], table.weight.data[present.index("gain")])
    torch.testing.assert_close(found[new.index("dump")], published[WHOLE.index("dump")])
    mean = published[[WHOLE.index("buy"), WHOLE.index("back")]].mean(dim=0)
    made = found[new.index("buyback")]
    assert torch.nn.functional.cosine_similarity(made, mean, dim=0) > 0.999
    assert made.norm().item() == pytest.approx(published.norm(dim=1).mean().item(), rel=1e-4)
    tokens = Tokenizer.from_str(json.dumps(content)).encode("buyback gain hello").tokens
    assert tokens[1:4] == ["buyback", "gain", "h"]


def test_the_words_are_lower_case_and_each_stands_once() -> None:
    words = lexicon.wanted_words()
    assert len(words) > 1000
    assert all(word.isalpha() and word == word.lower() for word in words)
    assert words["upheld"] == ()
    assert words["brokerage"] == ("broker",)
