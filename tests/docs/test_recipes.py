"""The recipes for entities, search, triage and reports come to the answers that are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from leanbert import pipeline
from tests.docs.test_links import BLOCK, ROOT
from tests.helpers.tiny_bundles import Tiny, reference

PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
HEADLINES = ["Profit rose in the quarter.", "The bank fell.", "Profit and debt were higher."]
Run: TypeAlias = Callable[[str], list[list[str]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program of a section of the page; the lines that it prints, as cells."""
    monkeypatch.chdir(tmp_path)
    rows = [*HEADLINES[:1], '""', *HEADLINES[1:]]
    (tmp_path / "news.csv").write_text("\n".join(["headline", *rows, ""]), encoding="utf-8")

    def running(section: str) -> list[list[str]]:
        text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        [(language, block)] = BLOCK.findall(text)
        assert language == "python"
        exec(compile(block, "cookbook.md", "exec"), {})  # noqa: S102 - our own page
        return [line.split("\t") for line in capsys.readouterr().out.splitlines()]

    return running


def sentiment(text: str) -> float:
    """Of one sentence, by the embedded model."""
    [scores] = [{row["label"]: row["score"] for row in pipeline()(text, top_k=None)}]
    return float(scores["positive"] - scores["negative"])


def test_entities(run: Run, make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    made = make_bundle(task="token-classification", labels=("B-ORG", "B-LOC", "O"))
    (tmp_path / "ner-int8").symlink_to(made)
    first, _, third = map(sentiment, HEADLINES)
    assert run("Entities of the news") == [
        ["Profit", "2", f"{(first + third) / 2:+.2f}"],
        ["rose", "1", f"{first:+.2f}"],
        ["higher", "1", f"{third:+.2f}"],
    ]


def test_search(run: Run, tiny_features: Path, tmp_path: Path) -> None:
    (tmp_path / "minilm-int8").symlink_to(tiny_features)

    def vector(text: str) -> np.ndarray:
        mean = reference(Tiny(task="feature-extraction"), text).mean(axis=0)
        unit: np.ndarray = mean / np.linalg.norm(mean)
        return unit

    query = vector("people lost their jobs")
    right = sorted(((float(vector(text) @ query), text) for text in HEADLINES), reverse=True)
    assert run("Semantic search") == [[f"{cosine:.3f}", text] for cosine, text in right]


def test_triage(run: Run, make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    tiny = Tiny(labels=("contradiction", "neutral", "entailment"))
    (tmp_path / "nli-int8").symlink_to(make_bundle(labels=tiny.labels))
    mails = ["The company said so today.", "Profit rose, a record.", "The bank has a plan."]
    (tmp_path / "mails.txt").write_text("\n\n".join(mails), encoding="utf-8")

    def entailed(mail: str, desk: str) -> float:
        logits = reference(tiny, mail, f"It is about {desk}.")
        return float(1 / (1 + np.exp(logits[0] - logits[2])))

    right: dict[str, int] = {}
    for mail in mails:
        desks = ("a lawsuit", "a dividend", "an order")
        score, best = max((entailed(mail, desk), desk) for desk in desks)
        desk = best if score >= 0.8 else "a person"
        right[desk] = right.get(desk, 0) + 1
    assert len(right) > 1
    assert run("Triage without training") == [[desk, str(count)] for desk, count in right.items()]


def test_reports(run: Run, tmp_path: Path) -> None:
    sentences = [*["Operating profit rose."] * 3, "Sales fell by half.", "The AGM is in May."]
    report = " ".join(sentences)
    (tmp_path / "report.txt").write_text(report, encoding="utf-8")
    scores = [sentiment(sentence) for sentence in sentences]
    [total], *worst = run("Long reports")
    assert total == f"sentiment {sum(scores) / 5:+.2f} of 5 sentences; the worst:"
    assert worst == [
        [f"{scores[3]:+.2f}", str(report.index("Sales")), sentences[3]],
        [f"{scores[4]:+.2f}", str(report.index("The AGM")), sentences[4]],
        [f"{scores[0]:+.2f}", "0", sentences[0]],
    ]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(sentence in page for sentence in sentences)
