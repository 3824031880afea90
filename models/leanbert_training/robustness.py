"""Measure the model on kinds of text that sentiment models often get wrong.

The kinds are cut out of the evaluation sets, except for the negations, which are our own.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert_training.augmenting import NAMES, without_links
from leanbert_training.data import Example, Sets
from leanbert_training.negations import sentences

Predict = Callable[[Sequence[str]], npt.NDArray[np.float64]]

SHORT_WORDS = 8
LONG_WORDS = 35
PAIRS = 500
_CASHTAG = re.compile(r"\$[A-Z]{1,5}\b")
_NUMBER = re.compile(
    r"\d[\d.,]*\s?(?:%|percent|per cent|mn\b|bn\b|mln\b|million\b|billion\b|EUR\b|euros?\b|USD\b)"
    r"|(?:EUR|USD|[$€£])\s?\d",
    re.IGNORECASE,
)
_MORE_NAMES_JOINED = (
    "Nokia|Nokian Tyres|Nordea|Outokumpu|Stora Enso|UPM-Kymmene|UPM|Metso|Outotec|Fortum|Kesko|"
    "Kone|Finnair|Elisa|TeliaSonera|Tieto|TietoEnator|Fiskars|Rautaruukki|Ruukki|Wartsila|YIT|"
    "Konecranes|Cargotec|Neste Oil|Sampo|Sanoma|Raisio|Ramirent|Lemminkainen|Huhtamaki|Kemira|"
    "Orion|Amer Sports|Alma Media|Atria|HKScan|Componenta|Elcoteq|F-Secure|Basware|Biohit|"
    "Teleste|Vaisala|Ponsse|Stockmann|Uponor|Tikkurila|Talvivaara|Finnlines|Viking Line|"
    "Glaston|Cramo|Citycon"
)
_MORE_NAMES = tuple(_MORE_NAMES_JOINED.split("|"))
_SUBSTITUTES_JOINED = (
    "Danone|Novartis|Heineken|Unicredit|Iberdrola|Carrefour|Michelin|Vestas|Swatch|Sandvik|"
    "Electrolux|Kellogg|Hasbro|Mattel|Clorox|Medtronic|Cummins|Paccar|Equifax|Garmin|Logitech|"
    "Ryanair|Persimmon|Tesco|Vodafone|Lundbeck|Harlow Industries|Ostmark Foods|Trellon|"
    "Bayview Capital"
)
SUBSTITUTES = tuple(_SUBSTITUTES_JOINED.split("|"))
"""Names that are put in place of others here, and never during training."""
_TICKERS = (
    "$DANOY",
    "$HEIA",
    "$IBE",
    "$MTD",
    "$HAS",
    "$MAT",
    "$CLX",
    "$MDT",
    "$CMI",
    "$PCAR",
    "$EFX",
)
_ANY_NAME = re.compile(
    r"\b(?:"
    + "|".join(re.escape(n) for n in sorted((*NAMES, *_MORE_NAMES), key=len, reverse=True))
    + r")\b"
)


def words(text: str) -> int:
    """The number of words in ``text``, without links."""
    return len(without_links(text).split())


def swap(text: str, rng: random.Random) -> str:
    """Replace every known company in ``text`` by another one, and every cashtag by another one."""
    chosen: dict[str, str] = {}
    names, tickers = rng.sample(SUBSTITUTES, len(SUBSTITUTES)), rng.sample(_TICKERS, len(_TICKERS))
    text = _ANY_NAME.sub(lambda m: chosen.setdefault(m[0], names[len(chosen) % len(names)]), text)
    return _CASHTAG.sub(
        lambda m: chosen.setdefault(m[0], tickers[len(chosen) % len(tickers)]), text
    )


def name_pairs(examples: Sequence[Example], pairs: int = PAIRS) -> list[tuple[str, str]]:
    """Texts that name a company, each with a copy that names another; texts are picked by hash."""
    named = {e.text for e in examples if _ANY_NAME.search(e.text) or _CASHTAG.search(e.text)}
    chosen = sorted(named, key=lambda text: hashlib.sha256(text.encode()).hexdigest())[:pairs]
    return [(text, swap(text, random.Random(text))) for text in chosen]


def kinds(sets: Sets) -> dict[str, list[Example]]:
    """The labelled texts of each kind, by the name of the kind."""
    people = [*sets.twitter_valid, *sets.phrasebank_50_agree]
    agreed = [*sets.twitter_valid, *sets.phrasebank_all_agree]
    return {
        f"short headlines (at most {SHORT_WORDS} words)": [
            e for e in agreed if words(e.text) <= SHORT_WORDS
        ],
        f"long sentences (at least {LONG_WORDS} words)": [
            e for e in people if words(e.text) >= LONG_WORDS
        ],
        "upper-case (Twitter, PhraseBank AllAgree)": [
            Example(e.text.upper(), e.target) for e in agreed
        ],
        "with a ticker or cashtag (Twitter)": [
            e for e in sets.twitter_valid if _CASHTAG.search(e.text)
        ],
        "numbers with units (Twitter, PhraseBank AllAgree)": [
            e for e in agreed if _NUMBER.search(e.text)
        ],
        "negations (60 sentences of our own)": [
            Example(text, (float(label == 0), float(label == 1), float(label == 2)))
            for text, label in sentences()
        ],
    }


def measure(sets: Sets, predict: Predict) -> list[dict[str, Any]]:
    """Measure every kind of text.

    Returns:
        One dictionary per kind: its name ``kind``, the number of ``rows``, the ``measure`` that is
        counted (``"accuracy"`` or ``"same label"``), and the ``share`` of rows that meet it.
    """
    table = []
    for kind, examples in kinds(sets).items():
        expected = np.array([e.label for e in examples])
        share = float((predict([e.text for e in examples]).argmax(axis=1) == expected).mean())
        table.append({"kind": kind, "rows": len(examples), "measure": "accuracy", "share": share})
    pairs = name_pairs([*sets.twitter_valid, *sets.phrasebank_50_agree])
    before = predict([text for text, _ in pairs]).argmax(axis=1)
    after = predict([text for _, text in pairs]).argmax(axis=1)
    table.append(
        {
            "kind": "company names swapped",
            "rows": len(pairs),
            "measure": "same label",
            "share": float((before == after).mean()),
        }
    )
    return table


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| kind of text | rows | measured | |", "|---|---|---|---|"]
    lines += [f"| {r['kind']} | {r['rows']} | {r['measure']} | {r['share']:.1%} |" for r in rows]
    return "\n".join(lines)


__all__ = ["NAMES", "SUBSTITUTES", "kinds", "markdown", "measure", "name_pairs", "swap"]
