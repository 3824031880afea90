"""A classifier of a few thousand weights and twenty-four rows that it can learn."""

from __future__ import annotations

import torch
import transformers

from leanbert_training import training
from leanbert_training.rows import Row

WORDS = ["up", "down", "flat", "stock", "news", "the"]
SETTINGS = training.Settings(epochs=2, learning_rate=1e-2, batch_size=4)


def network() -> training.TwoHeads:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=3,
        hidden_dropout_prob=0.01,
        attention_probs_dropout_prob=0.0,
    )
    return training.TwoHeads(transformers.BertForSequenceClassification(config))


def rows() -> list[Row]:
    found = []
    for i in range(24):
        word, label = (("up", 0), ("down", 1), ("flat", 2))[i % 3]
        target = tuple(float(label == j) for j in range(3))
        text = f"the stock {word}" if i % 2 else f"news {word}"
        found.append(Row(text, target, target if i % 4 else None, "tweet"))  # type: ignore[arg-type]
    return found
