"""A folder of the public sets with a few rows of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

WORDS = """\
The\tO
Zyxwvut\tB-corporation
Bank\tI-corporation

ok\tO
"""
TWEETS = [
    ("Down 3%, again https://t.co/x", 0),
    ("down 3% AGAIN!", 1),
    ("Up, up\nand away", 1),
    ("Flat", 2),
]
"""The second is a re-post of the first."""


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    (tmp_path / "wnut17").mkdir()
    (tmp_path / "wnut17" / "wnut17train.conll").write_text(WORDS, encoding="utf-8")
    paragraph = {
        "context": "Sales fell by half. Profit rose to EUR 13.1 mn in May.",
        "qas": [
            {
                "question": "What did profit rise to?",
                "answers": [{"text": "EUR 13.1 mn", "answer_start": 35}],
            }
        ],
    }
    articles = [{"title": str(i), "paragraphs": [paragraph]} for i in range(3)]
    (tmp_path / "xquad").mkdir()
    (tmp_path / "xquad" / "xquad.en.json").write_text(json.dumps({"data": articles}))
    (tmp_path / "stsb").mkdir()
    row = 'main\tnews\t2012\t0001\t3.800\tA "man" plays.\tA man\'s playing.'
    (tmp_path / "stsb" / "sts-test.csv").write_text(row + "\n", encoding="utf-8")
    (tmp_path / "twitter_financial_news").mkdir()
    for part, rows in (("train", TWEETS), ("valid", TWEETS[:1])):
        lines = ["text,label", *(f'"{text}",{label}' for text, label in rows)]
        (tmp_path / "twitter_financial_news" / f"sent_{part}.csv").write_text("\n".join(lines))
    (tmp_path / "phrasebank").mkdir()
    sentences = "Profit at € 3 rose @ home@positive\r\nNothing@neutral\r\n"
    path = tmp_path / "phrasebank" / "Sentences_50Agree.txt"
    path.write_bytes(sentences.replace("€", "EUR").encode("latin-1"))
    return tmp_path
