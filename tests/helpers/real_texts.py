"""Inputs for tests of parity: awkward ones of our own, and real ones where the data is at hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

AWKWARD = [
    "",
    "a",
    " ",
    "?!... —",
    "é",
    "e\u0301a\u0308o\u0302 de\u0301ja\u0300 vu",  # combining characters
    "👩🏽‍💻 hired 👍🏿👍 in 🇩🇪!",
    "Привет, Zürich 東京 is 서울 مرحبا",
    "Acme\r\nin Paris.\r\n\r\nSmith said so.\r\n",
    "tab\tand\u00a0no-break\u2009thin",
    "London",
    "Smith met Jones",  # entities at both ends
    "x" * 150,
    "Pneumono" * 20 + " met " + "ſ" * 120,
    "don't e-mail U.S.A. 3.5% $4bn #tag @user https://a.b/c?d=e",
    "[CLS] [SEP] [MASK] [UNK] <s> </s> <unk> ##ing",
    "\ufb01nance \u2167 \u00bd \uff21\uff22",  # letters that normal forms take apart
    "\u200bzero\u200dwidth\ufeff",
]
LONG = (
    "Revenue in Berlin rose when Maria Keller met the board of Tallis & Orr. " * 308
)  # 4,004 words


def _conll(path: Path) -> list[str]:
    """The sentences of a CoNLL file, words joined by spaces."""
    blocks = path.read_text(encoding="utf-8").replace("\r\n", "\n").split("\n\n")
    lines = [[line.split()[0] for line in block.split("\n") if line.split()] for block in blocks]
    return [" ".join(words) for words in lines if words and "-DOCSTART-" not in words]


def entity_texts(data: Path, count: int, seed: int) -> list[str]:
    """Tweets of wnut17 and paragraphs of SEC filings, a sample."""
    texts = _conll(data / "wnut17" / "emerging.test.annotated")
    filings = _conll(data / "fin5" / "FIN5.txt") + _conll(data / "fin5" / "FIN3.txt")
    draw = random.Random(seed)  # noqa: S311
    return draw.sample(texts, count // 2) + draw.sample(filings, count - count // 2)


def questions(data: Path, count: int, seed: int) -> list[tuple[str, str]]:
    """Questions of xquad with their contexts, a sample."""
    content = json.loads((data / "xquad" / "xquad.en.json").read_text(encoding="utf-8"))
    found = [
        (asked["question"], paragraph["context"])
        for article in content["data"]
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    ]
    return random.Random(seed).sample(found, count)  # noqa: S311
