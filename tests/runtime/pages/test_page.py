"""Pages: everything is shown, everything is escaped, nothing is asked of any network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert.errors import InputError
from leanbert.pages import Page, page, write_page
from leanbert.pages.plot import running_mean, running_means
from leanbert.pages.style import DARK, LIGHT
from leanbert.pages.text import escaped, marked

HOSTILE = (
    "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; \x1b[31m\u202e\x00\ud800"
)
VOID = {"meta", "br", "path"}


class Checker(HTMLParser):
    """Collects tags and text, and notices what is not closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    @classmethod
    def of(cls, html: str) -> Checker:
        checker = cls()
        checker.feed(html)
        checker.close()
        assert not checker.open
        return checker

    def said(self) -> str:
        return " ".join("".join(self.text).split())


def scored(label: str, score: float, sentiment: float | None) -> dict[str, Any]:
    scores = {label: score, "neutral": 1 - score}
    return {"label": label, "score": score, "scores": scores, "sentiment_score": sentiment}


def document(text: str, *parts: str) -> dict[str, Any]:
    """An answer of ``document`` by turns positive and negative."""
    sentences = []
    for number, part in enumerate(parts):
        label, sentiment = [("positive", 0.9), ("negative", -0.5)][number % 2]
        start = text.index(part)
        place = {"text": part, "start": start, "end": start + len(part)}
        sentences.append({**place, **scored(label, abs(sentiment), sentiment)})
    return {**scored("positive", 0.5, 0.2), "sentences": sentences}


WORD = {"word": HOSTILE[:4], "start": 0, "end": 4, "share": -0.4}
ANSWERS: dict[str, tuple[Any, Any]] = {
    "document": (HOSTILE, document(HOSTILE, HOSTILE)),
    "windows": (HOSTILE, {
        **scored(HOSTILE, 0.9, None),
        "windows": [{"text": HOSTILE, "start": 0, "end": 9, **scored(HOSTILE, 0.9, None)}],
    }),
    "explanation": (HOSTILE, {"label": HOSTILE, "score": 0.9, "words": [WORD]}),
    "labels": (HOSTILE, [{"label": HOSTILE, "score": 0.9}, {"label": "b", "score": 0.1}]),
    "pair": ({"text": "a", "text_pair": HOSTILE}, {"label": HOSTILE, "score": 0.9}),
    "entities": (HOSTILE, [
        {"entity_group": HOSTILE, "score": 0.9, "word": HOSTILE, "start": 0, "end": 8},
    ]),
    "tokens": (HOSTILE, [
        {"entity": HOSTILE, "score": 0.9, "index": 1, "word": HOSTILE, "start": 0, "end": 8},
    ]),
    "question": ({"question": HOSTILE, "context": HOSTILE}, {
        "score": 0.9, "start": 0, "end": 8, "answer": HOSTILE,
    }),
    "zero-shot": (HOSTILE, {"sequence": HOSTILE, "labels": [HOSTILE], "scores": [0.9]}),
    "mask": (HOSTILE, [
        {"score": 0.9, "token": 1, "token_str": HOSTILE, "sequence": HOSTILE},
    ]),
    "ranked": ({"query": HOSTILE, "documents": [HOSTILE]}, [{"corpus_id": 0, "score": 0.9}]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_hostile_text_and_labels_are_shown_and_do_nothing(kind: str) -> None:
    given, answer = ANSWERS[kind]
    made = Page(HOSTILE, [HOSTILE])
    made.add(given, answer, HOSTILE)
    html = made.html()
    checker = Checker.of(html)
    assert {tag for tag, _ in checker.tags} <= {
        "html", "head", "meta", "title", "style", "body", "a", "header", "h1", "h2", "p", "main",
        "ul", "ol", "li", "span", "b", "article", "figure", "figcaption", "div", "svg", "path",
        "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "mark", "nav", "br",
        "footer",
    }  # fmt: skip
    for _, attributes in checker.tags:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "<script>alert(1)</script>" in checker.said()
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", html)
    assert "\\x1b[31m\\u202e\\x00\ufffd" in checker.said()
    assert html.count("<style>") == 1 and "http" not in html.replace("http-equiv", "")


def test_a_document_is_shown_whole_and_in_order() -> None:
    text = "  Profit rose & rose.\r\nSales\nfell.\n\nIt ended. "
    parts = ["Profit rose & rose.", "Sales\nfell.", "It ended."]
    html = page(text, document(text, *parts), title="The report")
    checker = Checker.of(html)
    flow = html[html.index("</figure>") : html.index("<details")]
    spans = re.findall(r'<span class="part ([pn]\d) (up|down)" tabindex="0">', flow)
    assert spans == [("p4", "up"), ("n2", "down"), ("p4", "up")]
    assert flow.count("<p>") == 2  # at the blank line
    said = checker.said()
    assert said.startswith("The report Skip to the answers The report 1 text")
    assert "positive 0.50 · sentiment +0.20 · 3 sentences" in said
    assert (
        "it ends at +0.43, its highest is +0.90 (sentence 1), its lowest +0.20 (sentence 2)" in said
    )
    assert "▼Sales fell. (negative, 0.50)" in said
    rows = re.findall(r"<tr><td>(\d)</td><td class=\"words\">(.*?)</td>", html)
    assert rows == [("1", "Profit rose &amp; rose."), ("2", "Sales fell."), ("3", "It ended.")]


def test_words_are_underlined_by_their_share() -> None:
    words = [
        {"word": "Sales", "start": 0, "end": 5, "share": 0.12},
        {"word": "fell", "start": 6, "end": 10, "share": 0.7},
        {"word": "not", "start": 11, "end": 14, "share": -0.05},
        {"word": "a", "start": 15, "end": 16, "share": 0.002},
    ]
    html = page("Sales fell not a.", {"label": "negative", "score": 0.9, "words": words})
    assert re.findall(r'<span class="(word[^"]*)" title="(.*?)">(\w+)', html) == [
        ("word w2", "+0.120", "Sales"), ("word w3", "+0.700", "fell"),
        ("word w1 against", "\u22120.050", "not"),
    ]  # fmt: skip
    assert "(negative, 0.90; because of fell +0.70, Sales +0.12, not \u22120.05)" in html


def test_lists_have_rows_and_the_mean_over_the_texts() -> None:
    answers = [
        [{"label": "positive", "score": 0.8}, {"label": "negative", "score": 0.1}],
        [{"label": "negative", "score": 0.6}, {"label": "positive", "score": 0.2}],
    ]
    said = Checker.of(page(["a", "b"], answers)).said()
    assert "positive: 1, negative: 1" in said
    assert "over 2 texts: it ends at +0.15, its highest is +0.70 (text 1)" in said
    best = [{"label": "positive", "score": 0.8}, {"label": "praise", "score": 0.6}]
    html = page(["a", "b"], best)
    assert "<figure>" not in html  # the scores of both poles are not known
    assert re.findall(r'class="part (.*?)"', html) == ["p4 up", "k0"]


def test_entities_are_marked_and_the_best_answers_too() -> None:
    entities = [
        {"entity_group": "ORG", "score": 0.99, "word": "nokia", "start": 0, "end": 5},
        {"entity_group": "LOC", "score": 0.9, "word": "kia", "start": 2, "end": 5},
        {"entity_group": "LOC", "score": 0.9, "word": "espoo", "start": 9, "end": 14},
    ]
    html = page("Nokia in Espoo", entities)
    assert re.findall(r"<mark.*?</mark>", html) == [
        '<mark class="k0">Nokia<span class="tag"> ORG 0.99</span></mark>',
        '<mark class="k1">Espoo<span class="tag"> LOC 0.90</span></mark>',
    ]
    assert html.count("<tr>") == 4  # all are in the table, with its head
    answers = [
        {"score": 0.5, "start": 9, "end": 14, "answer": "Espoo"},
        {"score": 0.3, "start": 6, "end": 14, "answer": "in Espoo"},
        {"score": 0.1, "start": 0, "end": 5, "answer": "Nokia"},
    ]
    html = page({"question": "Where?", "context": "Nokia in Espoo"}, answers)
    assert re.findall(r">(\w+)<span class=\"tag\"> ([\d.]+)", html) == [
        ("Nokia", "0.10"), ("Espoo", "0.50"),
    ]  # fmt: skip
    assert "<h2>Where?</h2>" in html and "<b>Espoo</b> · score 0.50" in html
    assert "no answer" in page("a", {"score": 0.0, "start": 0, "end": 0, "answer": ""})
    assert "Nothing was found." in page("a", [])


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrasts(theme: dict[str, str]) -> None:
    assert LIGHT.keys() == DARK.keys()
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name, colour in theme.items():
        if name in {"back", "raised"} or name[1:].isdecimal():
            assert contrast(theme["text"], colour) >= 4.5, name
    for name in ("muted", "focus"):
        assert contrast(theme[name], theme["back"]) >= 4.5
    assert contrast(theme["muted"], theme["raised"]) >= 4.5
    for name in ("positive", "negative"):
        assert contrast(theme[name], theme["raised"]) >= 3


def test_the_running_mean() -> None:
    assert running_means([1, 0, -1]) == [1, 0.5, 0]
    drawn = running_mean([1, 0, -1], "sentence")
    assert '<path class="mean" d="M0.5 -1.000L1.5 -0.500 2.5 -0.000"/>' in drawn
    assert '<path class="gains" d="M0.12 0H0.88V-1.000H0.12z"/>' in drawn
    assert '<path class="losses" d="M2.12 0H2.88V1.000H2.12z"/>' in drawn
    assert 'd="M0 -0.300L1 -0.300"' in running_mean([0.3], "sentence")
    many = running_mean([0.5] * 10_001, "text")
    assert len(many) < 40_000 and ">10,001</span>" in many


@pytest.mark.parametrize(
    ("inputs", "answers", "said"),
    [
        ("a", [[[0.1, 0.2]]], "a page shows labels"),
        ("a", 0.3, "a page shows labels"),
        (["a", "b"], [[]], "an answer for each input: 2 inputs, 1"),
        (["a"], {"label": "a"}, "an answer for each input: 1 inputs, dict"),
    ],
)
def test_what_has_no_page(inputs: Any, answers: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        page(inputs, answers)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(InputError):
        write_page(path, "a", 0.3)
    assert path.read_text() == "before"
    write_page(str(path), "a\ud800", {"label": "positive", "score": 0.9})
    assert "<title>report</title>" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_escaping_and_marks() -> None:
    assert escaped("a\r\nb\rc\td <&>\"'") == "a\nb\nc\td &lt;&amp;&gt;&quot;&#x27;"
    assert marked("a<b", [(1, 2, "[", "]")]) == "a[&lt;]b"
    assert marked("abc", [(1, 3, "(", ")"), (0, 2, "[", "]"), (2, 2, "{", "}")]) == "[ab]c"
