"""Long texts of awkward words and gaps, and tokenizers of every kind to read them with."""

from __future__ import annotations

import json
import random
from pathlib import Path

from leanbert.tokenization import Tokenizer

WORDS = [
    *(
        "profit",
        "Rose",
        "the",
        "company's",
        "13.1",
        "EUR-denominated",
        "naïve",
        "CAFÉ",
        "e\u0301te",
    ),
    *(
        "营业利润增长",
        "прибыль",
        "ربح",
        "🚀🚀",
        "\u200d",
        "a\u0000b",
        "\u001c",
        "I\u0307",
        "ﷺ",
        "½",
    ),
    *("[MASK]", "<mask>", "[SEP]", "</s>", "x" * 130, "...", "，。", "co-op,ltd.", "1,000,000.00"),
]
GAPS = [" "] * 12 + ["  ", "\n", "\t\n ", "\u00a0", "\u3000", "\r\n", "", " \u0301"]
FAMILIES = ["bert", "bert-cased", "roberta", "albert", "xlm-roberta", "mpnet", "modernbert"]


def random_text(source: random.Random, words: int) -> str:
    return "".join(source.choice(WORDS) + source.choice(GAPS) for _ in range(words))


def tokenizer_of(folder: Path, target: Path, side: str) -> Tokenizer:
    made = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    target.mkdir()
    (target / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    said = json.dumps({**made, "truncation_side": side})
    (target / "tokenizer_config.json").write_text(said, encoding="utf-8")
    return Tokenizer(target / "tokenizer.json", 48, native=False)
