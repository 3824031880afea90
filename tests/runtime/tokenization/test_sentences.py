"""Sentences are found by rules: a table of cases, properties of any text, and real sentences."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.tokenization.sentences import sentence_spans
from tests.helpers.sentences import split_sentences

# Each case is what splitting its parts, joined by a space, must give.
CASES = {
    "decimals": ["Apple rose 3.5%.", "The index fell to 4,012.7 points."],
    "a company's form": ["Apple Inc. Chief Executive Tim Cook left Foo Corp. in May."],
    "a company's form at the end": ["It sold Nokia Corp.", "The shares fell."],
    "titles": ["Mr. Smith met Dr. Jones and Prof. Lee of St. Louis vs. Gov. Brown."],
    "initials": ["J. P. Morgan and John F. Kennedy met.", "Then they left."],
    "the hour": ["It closed at 5 p.m. Eastern on Jan. 5.", "It opened at 9 a.m. on Oct. 3."],
    "acronyms": ["He lives in the U.S.", "The Fed met the E.U. Commission."],
    "units": ["Sales were EUR 13.1 mn.", "Componenta sold 5 mn. euros of it."],
    "tickers": ["BRK.B fell.", "NASDAQ:AAPL rose.", "$TSLA (NYSE: BRK.A) gained 2%."],
    "a quoted question": ['"Really?" he asked.', '"Yes!" she said.'],
    "a closing quotation mark": ['He said: "We are done."', "Then he left."],
    "typographic quotation marks": ["“We are done.”", "‘So am I.’", "«Moi aussi.»", "Fin."],
    "ellipses": ["Well...", "We shall see.", "It is… over.", "X . . .", "Then y."],
    "an abbreviation in brackets": ["It (Foo Ltd.) rose (see Fig. 3).", "(It fell.)", "Then up."],
    "numbers": ["No. 5 was here.", "I said no.", "Then left.", "Art. 3 holds."],
    "a numbered list": ["1. Introduction to it.", "2. Methods."],
    "names with a mark": ["Yahoo! Inc. bought it.", "Good!"],
    "names written small": ["Prices fell.", "iPhone sales rose.", "eBay did too."],
    "marks together": ["What?!", "No!!!", "Yes."],
    "latin": ["It sells phones, e.g. smart ones, i.e. ours, etc. and more.", "Et al. too."],
    "apart from the word": ["Profit rose to EUR 13.1 mn .", "Sales fell ."],
    "no stop": ["Operating profit rises"],
    "stops alone": ["."],
    "umlauts": ["Der Umsatz stieg um 3,5 Mio. Euro.", "Über alles gesehen gut."],
}


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    text = " ".join(CASES[name])
    assert split_sentences(text) == CASES[name]
    assert split_sentences(f"\r\n  {text}\n") == CASES[name]


def test_line_breaks() -> None:
    assert split_sentences("Profit\nrose. It\r\nfell.") == ["Profit\nrose.", "It\r\nfell."]
    assert split_sentences("A headline\n\nThe text.\n \nMr.\n\nSmith") == [
        "A headline",
        "The text.",
        "Mr.",
        "Smith",
    ]


def test_full_width_stops_need_no_space() -> None:
    assert split_sentences("利润上升。销售下降！“是吗？”他说。") == [
        "利润上升。",
        "销售下降！",
        "“是吗？”",
        "他说。",
    ]


@pytest.mark.parametrize("text", ["", " ", "\r\n\t\u2003"])
def test_nothing_to_split(text: str) -> None:
    assert sentence_spans(text) == []


@given(st.text(alphabet=st.sampled_from("aB1 .!?…\n\r\"')(“”。,Mr$é👍🏽-"), max_size=60))
def test_spans_cover_all_but_white_space(text: str) -> None:
    spans = sentence_spans(text)
    covered = [False] * len(text)
    end_before = 0
    for start, end in spans:
        assert end_before <= start < end
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
        end_before = end
    assert all(done or char.isspace() for done, char in zip(covered, text, strict=True))


@pytest.mark.parametrize(
    "text",
    ["." * 100_000 + "x", ". " * 50_000 + ".x", " " * 200_000 + "x", ".'" * 50_000, "A. " * 20_000],
)
def test_no_text_takes_forever(text: str) -> None:
    """Quadratic time would be minutes here."""
    assert sentence_spans(text)[-1][1] == len(text.rstrip())


def test_real_sentences_run_together(data_dir: Path) -> None:
    """PhraseBank's sentences, one after the other as in a report, are found again."""
    path = data_dir / "phrasebank" / "Sentences_50Agree.txt"
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = path.read_text(encoding="latin-1").splitlines()
    found = (
        line.rpartition("@")[0].strip().replace(" .", ".").replace(" ,", ",") for line in lines
    )
    sentences = [text for text in found if text.endswith(".") and text[0].isupper()]
    random.Random(0).shuffle(sentences)  # noqa: S311
    assert len(sentences) > 4000
    spans, position = set(), 0
    for text in sentences:
        spans.add((position, position + len(text)))
        position += len(text) + 1
    split = set(sentence_spans(" ".join(sentences)))
    right = len(split & spans)
    # Some of its lines hold two sentences, so that neither can be 1.
    assert right / len(split) > 0.98
    assert right / len(spans) > 0.98
