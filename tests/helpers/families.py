"""The families and heads of the tests' tiny models: sizes, labels, and the kind of tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

torch.set_num_threads(1)  # tiny models: threads would only wait for each other
SEED = 20
HIDDEN = 32
MAX_LENGTH = 128
"""Longest input in tokens: less than a real model's, so that long texts are cheap."""
ENTITIES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "LOC", "MISC")
SENTIMENT = ("positive", "negative", "neutral")
HEADS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "text-classification": (
        "AutoModelForSequenceClassification",
        {"id2label": dict(enumerate(SENTIMENT))},
    ),
    "token-classification": (
        "AutoModelForTokenClassification",
        {"id2label": dict(enumerate(ENTITIES))},
    ),
    "question-answering": ("AutoModelForQuestionAnswering", {}),
    "fill-mask": ("AutoModelForMaskedLM", {}),
    "feature-extraction": ("AutoModel", {}),
}
"""Each task's class in transformers, and what its config says besides the sizes."""


@dataclass(frozen=True)
class Family:
    """How a family's tokenizer and config are made."""

    tokenizer_class: str
    kind: str
    """``wordpiece``, ``bpe`` (of bytes) or ``unigram``."""
    real: str
    """The real tokenizer's file below the test data, or the file that it is converted from."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Sizes under the family's own names."""


def _sizes(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 160,
        "initializer_range": 0.2,
        **more,
    }


_UNCASED = "bert-base-uncased/tokenizer.json"
FAMILIES: Mapping[str, Family] = {
    "bert": Family("BertTokenizerFast", "wordpiece", _UNCASED, _sizes()),
    "bert-cased": Family("BertTokenizerFast", "wordpiece", "bert-base-cased/vocab.txt", _sizes()),
    "roberta": Family(
        "RobertaTokenizerFast", "bpe", "roberta-base/tokenizer.json", _sizes(type_vocab_size=1)
    ),
    "distilbert": Family(
        "DistilBertTokenizerFast",
        "wordpiece",
        "distilbert-sst2/vocab.txt",
        {
            "dim": HIDDEN,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 64,
            "max_position_embeddings": 160,
            "initializer_range": 0.2,
        },
    ),
    "electra": Family("ElectraTokenizerFast", "wordpiece", _UNCASED, _sizes(embedding_size=16)),
    "albert": Family(
        "AlbertTokenizerFast", "unigram", "albert/spiece.model", _sizes(embedding_size=16)
    ),
    "xlm-roberta": Family(
        "XLMRobertaTokenizerFast", "unigram", "albert/spiece.model", _sizes(type_vocab_size=1)
    ),
    "mpnet": Family(
        "MPNetTokenizerFast", "wordpiece", "bert_reference_ids/bert-vocab.txt", _sizes()
    ),
    "deberta-v2": Family(
        "DebertaV2TokenizerFast",
        "unigram",
        "albert/spiece.model",
        _sizes(
            relative_attention=True,
            position_buckets=32,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
        ),
    ),
    "modernbert": Family(
        "PreTrainedTokenizerFast",
        "bpe",
        "modernbert/tokenizer.json",
        _sizes(
            local_attention=16,
            global_attn_every_n_layers=2,
            reference_compile=False,
            initializer_cutoff_factor=3.0,
        ),
    ),
}
"""By the name of the config's ``model_type``; ``bert-cased`` is another ``bert``.

No real XLM-RoBERTa or DeBERTa-v2 vocabulary is at hand: they convert ALBERT's, each as it converts
its own, with its own normalizer, splitting and special tokens.
"""


def model_type(family: str) -> str:
    """The family's name in a config."""
    return "bert" if family == "bert-cased" else family
