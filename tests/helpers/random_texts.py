"""Random texts and WordPiece tokenizers, in all that tokenizers handle in ways of their own."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import tokenizers
from tokenizers import normalizers

__all__ = ["TokenizerCase", "random_bytes", "random_case", "random_text"]

_WORDS = tuple(
    word
    for line in (
        "the profit of Nokia rose fell to EUR 13.1 mn, don't e-mail U.S.A. 3.5% $4bn #tag @user",
        "https://a.b/c?d=e naïve café Zürich ÉCOLE straße STRASSE ΣΊΣΥΦΟΣ σίσυφος İstanbul ısı",
        "IĞDIR Ǆ ǅ ǆ ﬁnance Ⅷ ½ ＡＢ Привет Йод ёлка مرحبا שלום नमस्ते ก็ดี 東京 株式会社 서울",
        "한국어 각 カタカナ がぎ Ελληνικά ὈΔΥΣΣΕΎΣ Ṩ̣ q̣̇ Ǖ ế Å Ω K ſ ß ẞ ŉ ΐ ﬃ Ŀ",
    )
    for word in line.split()
)
_SPACES = (
    "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000 "
)
_CONTROLS = (
    "\x00\x01\x07\x1b\x7f\x80\x9f\xad\u061c\u180e\u200b\u200c\u200d\u200e\u2060\u2066"
    "\ufeff\ufff9\ufffd\ufffe\U000e0001"
)
_EMOJI = (
    "\U0001f469\U0001f3fd\u200d\U0001f4bb",
    "\U0001f44d\U0001f3ff",
    "\U0001f1e9\U0001f1ea",
    "\u2764\ufe0f",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "1\ufe0f\u20e3",
    "\U0001fae0",
    "\U0001fabf",
)
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«»¿‘’“”…–—、。「」（）·؟।๏‿⁀〜﹏_°€£¥+±×"
_SPECIAL = (
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[UNK]",
    "[PAD]",
    "<s>",
    "</s>",
    "<mask>",
    "[sep]",
    "[ MASK ]",
)
_ADDED = (
    "[NEW]",
    "<user>",
    "Foo",
    "foo bar",
    "é",
    "e\u0301",
    "東",
    "##x",
    "[unused1]",
    "Ġ",
    "İ",
    "@@",
)


@cache
def _pools() -> dict[str, str]:
    """Characters by what Unicode says of them, as far as Python knows."""
    pools: dict[str, list[str]] = {"marks": [], "spacing": [], "decomposed": [], "unassigned": []}
    pools["cased"] = []
    for code in range(0x110000):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Mn":
            pools["marks"].append(character)
        elif category in ("Mc", "Me"):
            pools["spacing"].append(character)
        elif category == "Cn" and code % 97 == 0:
            pools["unassigned"].append(character)
        elif unicodedata.decomposition(character) and not 0xAC00 <= code < 0xD7A4:
            pools["decomposed"].append(character)
        if character.lower() != character:
            pools["cased"].append(character)
    return {name: "".join(found) for name, found in pools.items()}


def _chosen(draw: random.Random, characters: Sequence[str], most: int) -> str:
    return "".join(draw.choice(characters) for _ in range(draw.randint(1, most)))


def _code_point(draw: random.Random) -> str:
    most = draw.choice((0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000))
    code = draw.randrange(most)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def _hangul(draw: random.Random) -> str:
    syllables = "".join(chr(draw.randrange(0xAC00, 0xD7A4)) for _ in range(draw.randint(1, 4)))
    jamo = "".join(chr(draw.randrange(0x1100, 0x1200)) for _ in range(draw.randint(0, 3)))
    return syllables + jamo


def _ideographs(draw: random.Random) -> str:
    first = draw.choice((0x3400, 0x4E00, 0x4E00, 0x9FF0, 0xF900, 0x20000, 0x2A6D0, 0x2F800, 0x3040))
    return "".join(chr(first + draw.randrange(0x60)) for _ in range(draw.randint(1, 6)))


def _long_word(draw: random.Random) -> str:
    letters = draw.choice(("ab", "é", "\u0301a", "1", "ﬁ", "각", "x\u00ad"))
    return letters * draw.randint(1, 130)


def _marked(draw: random.Random) -> str:
    pools = _pools()
    base = draw.choice("aeEoOuAZñåऽกあ ")
    marks = _chosen(draw, pools["marks"], 5)
    if draw.random() < 0.3:
        marks += _chosen(draw, pools["spacing"], 3) + _chosen(draw, pools["marks"], 2)
    return base + marks


_FRAGMENTS: tuple[tuple[int, Callable[[random.Random], str]], ...] = (
    (16, lambda draw: draw.choice(_WORDS)),
    (14, lambda draw: " "),
    (4, lambda draw: _chosen(draw, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789", 12)),
    (3, lambda draw: _chosen(draw, _SPACES, 3)),
    (2, lambda draw: _chosen(draw, _CONTROLS, 2)),
    (4, lambda draw: _chosen(draw, _PUNCTUATION, 3)),
    (2, lambda draw: draw.choice(_EMOJI)),
    (3, lambda draw: draw.choice(_SPECIAL)),
    (3, lambda draw: draw.choice(_ADDED)),
    (3, _marked),
    (2, _hangul),
    (2, _ideographs),
    (3, lambda draw: _chosen(draw, _pools()["cased"], 4)),
    (3, lambda draw: _chosen(draw, _pools()["decomposed"], 4)),
    (1, lambda draw: _chosen(draw, _pools()["unassigned"], 2)),
    (1, lambda draw: _chosen(draw, _pools()["spacing"], 3)),
    (4, _code_point),
    (1, lambda draw: unicodedata.normalize("NFD", draw.choice(_WORDS))),
    (1, _long_word),
)
_WEIGHTS = [weight for weight, _ in _FRAGMENTS]
_MAKERS = [maker for _, maker in _FRAGMENTS]


def random_text(draw: random.Random) -> str:
    """A text of up to some 40 fragments, often of few."""
    count = draw.choice((1, 2, 3, 5, 8, 13, 40))
    return "".join(maker(draw) for maker in draw.choices(_MAKERS, _WEIGHTS, k=count))


def random_bytes(draw: random.Random) -> bytes:
    """A text whose UTF-8 was damaged: surrogates, bytes cut out, changed and put in."""
    data = bytearray(random_text(draw).encode())
    for _ in range(draw.randint(1, 4)):
        place = draw.randint(0, len(data))
        kind = draw.randrange(4)
        if kind == 0:
            data[place:place] = chr(draw.randrange(0xD800, 0xE000)).encode("utf-8", "surrogatepass")
        elif kind == 1:
            del data[place : place + draw.randint(1, 3)]
        elif kind == 2:
            data[place:place] = bytes(draw.choices(range(0x80, 0x100), k=draw.randint(1, 4)))
        else:
            data[place : place + 1] = bytes([draw.randrange(256)])
    return bytes(data)


@dataclass(frozen=True)
class TokenizerCase:
    """A tokenizer's two files, and how its texts are cut."""

    content: str
    config: str
    max_tokens: int | None


def random_case(draw: random.Random, base: str | None = None) -> TokenizerCase:
    """A tokenizer with random settings.

    Args:
        draw: what is drawn from.
        base: a ``tokenizer.json`` whose vocabulary is taken; otherwise a small one is made.
    """
    normalizer = _normalizer(draw)
    added = _added_tokens(draw)
    prefix = draw.choice(("##", "##", "##", "##", "", "@"))
    if base is None:
        vocabulary = _vocabulary(draw, normalizer, prefix)
    else:
        model = json.loads(base)["model"]
        vocabulary, prefix = model["vocab"], model["continuing_subword_prefix"]
    next_id = len(vocabulary)
    for token in added:
        token["id"] = vocabulary.get(token["content"], next_id)
        next_id = max(next_id, token["id"] + 1)
    content = {
        "version": "1.0",
        "truncation": draw.choice((None, _truncation("Left"), _truncation("Right"))),
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _post_processor(draw, vocabulary),
        "decoder": {"type": "WordPiece", "prefix": prefix, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": draw.choice((100, 100, 100, 0, 1, 5, 20)),
            "vocab": vocabulary,
        },
    }
    max_tokens = draw.choice((None, None, 512, 64, 16, 5))
    return TokenizerCase(json.dumps(content), json.dumps(_config(draw, added)), max_tokens)


def _truncation(direction: str) -> dict[str, Any]:
    return {"direction": direction, "max_length": 512, "strategy": "LongestFirst", "stride": 0}


def _bert(draw: random.Random) -> dict[str, Any]:
    return {
        "type": "BertNormalizer",
        "clean_text": draw.random() < 0.8,
        "handle_chinese_chars": draw.random() < 0.8,
        "strip_accents": draw.choice((None, None, True, False)),
        "lowercase": draw.random() < 0.6,
    }


def _normalizer(draw: random.Random) -> dict[str, Any] | None:
    if draw.random() < 0.75:
        return _bert(draw)
    if draw.random() < 0.1:
        return None
    steps: list[dict[str, Any]] = [
        {"type": "NFD"},
        {"type": "Lowercase"},
        {"type": "StripAccents"},
        _bert(draw),
    ]
    return {"type": "Sequence", "normalizers": draw.sample(steps, draw.randint(1, 4))}


def _added_tokens(draw: random.Random) -> list[dict[str, Any]]:
    names = list(_SPECIAL[:5])
    names += draw.sample((*_SPECIAL[5:], *_ADDED), draw.choice((0, 0, 1, 4)))
    is_special = draw.random() < 0.5
    unusual = draw.choice((0.0, 0.0, 0.3))
    normalized = draw.choice((0.0, 0.0, 0.0, 0.5))
    return [
        {
            "id": 0,
            "content": name,
            "single_word": draw.random() < unusual,
            "lstrip": draw.random() < unusual,
            "rstrip": draw.random() < unusual,
            "normalized": draw.random() < normalized,
            "special": number < 5 or is_special,
        }
        for number, name in enumerate(names)
    ]


def _post_processor(draw: random.Random, vocabulary: dict[str, int]) -> dict[str, Any] | None:
    first, last = vocabulary["[CLS]"], vocabulary["[SEP]"]
    kind = draw.randrange(6)
    if kind == 0:
        return None
    ends = {"sep": ["[SEP]", last], "cls": ["[CLS]", first]}
    if kind == 1:
        return {"type": "BertProcessing", **ends}
    if kind == 2:
        flags = {"trim_offsets": draw.random() < 0.7, "add_prefix_space": draw.random() < 0.5}
        return {"type": "RobertaProcessing", **ends, **flags}
    text_type = draw.choice((0, 0, 1))
    tokens = {
        "[CLS]": {"id": "[CLS]", "ids": [first], "tokens": ["[CLS]"]},
        "[SEP]": {"id": "[SEP]", "ids": [last, first], "tokens": ["[SEP]", "[CLS]"]},
    }
    single: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": text_type}}]
    if draw.random() < 0.8:
        single.insert(0, {"SpecialToken": {"id": "[CLS]", "type_id": 0}})
        single.append({"SpecialToken": {"id": "[SEP]", "type_id": draw.choice((0, 1))}})
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": tokens,
    }


def _config(draw: random.Random, added: Sequence[dict[str, Any]]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if draw.random() < 0.2:
        config["truncation_side"] = draw.choice(("left", "right", None))
    if draw.random() < 0.2:
        config["split_special_tokens"] = draw.random() < 0.5
    if draw.random() < 0.3 and not any(token["normalized"] for token in added):
        names = ("BertTokenizer", "MPNetTokenizerFast", "DistilBertTokenizer", "XTokenizer")
        config["tokenizer_class"] = draw.choice(names)
        if draw.random() < 0.5:
            config["do_lower_case"] = draw.random() < 0.5
            config["strip_accents"] = draw.choice((None, True, False))
    return config


def _vocabulary(
    draw: random.Random, normalizer: dict[str, Any] | None, prefix: str
) -> dict[str, int]:
    """Special tokens, and parts of what the normalizer makes of random texts."""
    tokens = list(_SPECIAL[:5])
    made = _made(normalizer)
    for _ in range(60):
        text = random_text(draw)
        if made is not None and draw.random() < 0.9:
            text = made.normalize_str(text)
        for word in text.split()[:20]:
            start = draw.randrange(len(word))
            piece = word[start : start + draw.choice((1, 1, 2, 3, 8))]
            tokens += (piece, prefix + piece, word[: draw.randint(1, 4)])
    draw.shuffle(tokens)
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def _made(normalizer: dict[str, Any] | None) -> Any:
    if normalizer is None:
        return None
    base = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106
    base.normalizer = normalizers.BertNormalizer()
    content = json.loads(base.to_str())
    content["normalizer"] = normalizer
    return tokenizers.Tokenizer.from_str(json.dumps(content)).normalizer
