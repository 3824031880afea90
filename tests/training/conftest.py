"""Fixtures of the training tests: one thread of torch, and tiny models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer

from leanbert_training import vocabulary
from tests.helpers.training_models import WORDS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads only wait for each other on matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tokenizer() -> Any:
    ids = {piece: i for i, piece in enumerate([*vocabulary.SPECIAL, *WORDS])}
    made = Tokenizer(WordPiece(ids, unk_token="[UNK]"))  # noqa: S106
    made.pre_tokenizer = BertPreTokenizer()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]")  # noqa: S106


@pytest.fixture
def classifier() -> object:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.BertForSequenceClassification(config).eval()
