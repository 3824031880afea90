"""The words of the tiny models, of three kinds and of none, and the tokenizer that knows them."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

POSITIVE = [
    "profit",
    "rose",
    "gain",
    "up",
    "growth",
    "strong",
    "record",
    "beat",
    "higher",
    "good",
    "raised",
    "win",
]
NEGATIVE = [
    "loss",
    "fell",
    "drop",
    "down",
    "weak",
    "cut",
    "miss",
    "lower",
    "bad",
    "layoffs",
    "debt",
    "lawsuit",
]
NEUTRAL = [
    "company",
    "said",
    "quarter",
    "today",
    "market",
    "share",
    "report",
    "bank",
    "statement",
    "plan",
    "office",
]
FILLER = [
    "the",
    "a",
    "an",
    "of",
    "in",
    "to",
    "and",
    "for",
    "on",
    "its",
    "it",
    "is",
    "was",
    "were",
    "with",
    "by",
    "from",
    "at",
    "as",
    "be",
    "will",
    "has",
    "have",
    "had",
    "operating",
    "sales",
    "net",
    "revenue",
    "margin",
    "eur",
    "usd",
    "mn",
    "bn",
    "per",
    "cent",
    "year",
    "month",
    "week",
    "day",
    "chief",
    "executive",
    "officer",
    "board",
    "group",
    "unit",
    "price",
    "stock",
    "index",
    "rate",
    "bond",
    "fund",
    "deal",
    "order",
    "contract",
    "demand",
    "supply",
    "cost",
    "tax",
    "cash",
    "flow",
    "dividend",
    "forecast",
    "outlook",
    "analyst",
    "investor",
    "first",
    "second",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = [
    *SPECIAL,
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *"0123456789.,:;!?'-%&()",
    *(f"##{digit}" for digit in "0123456789"),
    *(word for word in (*POSITIVE, *NEGATIVE, *NEUTRAL, *FILLER) if len(word) > 1),
]


def tokenizer() -> Tokenizer:
    """A small uncased BERT tokenizer."""
    ids = {token: i for i, token in enumerate(VOCABULARY)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))  # noqa: S106
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.add_special_tokens(SPECIAL)
    return made
