"""The recipes of the cookbook run, and three libraries come to the same numbers."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from leanbert import pipeline
from leanbert.errors import LeanBertWarning
from tests.docs.test_links import BLOCK, ROOT

PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
RECIPES = {
    block.split()[1]: block
    for language, block in BLOCK.findall(PAGE)
    if language == "python" and "daily.csv" in block
}
NEWS = [
    ("2024-01-02", "NOK", "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn."),
    ("2024-01-02", "NOK", "The company laid off 200 people, and sales fell by half."),
    ("2024-01-02", "NOK", "The annual meeting takes place in Helsinki."),
    ("2024-01-03", "NOK", "Sales rose strongly in all markets."),
    ("2024-01-02", "UPM", "The mill was closed after heavy losses."),
    ("2024-01-02", "UPM", ""),
    ("2024-01-03", "UPM", "UPM will publish its report on Friday, it said."),
]

Daily = dict[tuple[str, str], tuple[float, float, int]]
"""Mean, share of negatives and count by ticker and date."""


def wanted() -> Daily:
    found = defaultdict(list)
    there = [row for row in NEWS if row[2]]
    for (date, ticker, _), answer in zip(
        there, pipeline()([text for *_, text in there], top_k=None), strict=True
    ):
        scores = {row["label"]: row["score"] for row in answer}
        mean = scores["positive"] - scores["negative"]
        found[ticker, date].append((mean, answer[0]["label"] == "negative"))
    return {
        key: (sum(m for m, _ in of) / len(of), sum(n for _, n in of) / len(of), len(of))
        for key, of in found.items()
    }


def test_the_page_has_the_recipe_for_three_libraries() -> None:
    assert set(RECIPES) == {"pandas", "polars", "duckdb"}


@pytest.mark.parametrize("library", sorted(RECIPES))
def test_days_and_tickers(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    if library == "duckdb":
        pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    with Path("news.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("date", "ticker", "headline"), *NEWS])
    with pytest.warns(LeanBertWarning, match="1 of 7 values of 'headline' are missing"):
        exec(compile(RECIPES[library], "cookbook.md", "exec"), {})  # noqa: S102 - our own page
    with Path("daily.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {
        (row["ticker"], row["date"]): (
            float(row["mean"]), float(row["negatives"]), int(row["count"]),
        )
        for row in rows
    }  # fmt: skip
    right = wanted()
    assert list(found) == sorted(right)
    for key, values in right.items():
        assert found[key] == pytest.approx(values, abs=1e-9)
    assert {share for _, share, _ in found.values()} > {0.0}
