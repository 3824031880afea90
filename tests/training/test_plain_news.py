"""What anybody tries first: plain rises and falls, which the embedded model has to get right.

Patterns of plain news make many of these sentences, so this guards them, and measures nothing.
"""

from __future__ import annotations

import pytest

from leanbert import pipeline

POSITIVE = """
Sales rose.
Sales rose by half.
Revenue grew 12%.
Profit doubled.
Operating profit rose to EUR 13.1 mn.
Shares gained 5% on Monday.
Demand grew by a third.
Losses fell by half.
Costs fell by half.
The company raised its dividend.
"""
NEGATIVE = """
Sales fell.
Sales fell by half.
Sales were halved.
Revenue fell 10%.
Profit halved.
Profit fell by 20%.
Operating profit fell to EUR 3.2 mn from EUR 5.1 mn.
The share price fell 5%.
Shares fell by half.
Demand fell by half.
Orders fell by a third.
Turnover declined by 7%.
Exports fell.
Net loss widened to $3 million.
The company cut 200 jobs.
"""


@pytest.mark.parametrize(("label", "texts"), [("positive", POSITIVE), ("negative", NEGATIVE)])
def test_plain_rises_and_falls(label: str, texts: str) -> None:
    lines = texts.strip().splitlines()
    answers = pipeline("text-classification")(lines)
    wrong = {
        line: answer
        for line, answer in zip(lines, answers, strict=True)
        if answer["label"] != label
    }
    assert not wrong
