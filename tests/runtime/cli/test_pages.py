"""``leanbert predict --html`` and ``--explain``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanbert import pipeline
from tests.helpers.command import Command


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_text("Profit rose to a record.\nThe debt is bad! It said so.\n")
    return path


def test_a_report_as_a_page(predict: list[object], report: Path, command: Command) -> None:
    out = report.with_suffix(".html")
    words = [*predict, "-i", report, "--split", "sentences"]
    assert command(*words, "--html", out) == (0, "", "")
    html = out.read_text(encoding="utf-8")
    assert html.count('tabindex="0">') >= 3 and "The debt is bad!" in html
    assert "<title>report</title>" in html and "over 3 sentences" in html
    by_name = report.with_name("other.html")
    assert command(*words, "-o", by_name) == (0, "", "")
    assert by_name.read_text().replace("other", "report") == html
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "other.html", "report.html", "report.txt",
    ]  # fmt: skip
    folder = report.parent / "pages"
    assert command(*words, "--html", f"{folder}/")[0] == 0
    assert (folder / "report.html").read_text() == html


def test_rows_of_a_table_are_named_and_have_all_scores(
    predict: list[object], tmp_path: Path, command: Command
) -> None:
    (tmp_path / "news.csv").write_text("text,id\nprofit rose,1\na bad loss,2\n")
    out = tmp_path / "news.html"
    assert command(*predict, "-i", tmp_path / "news.csv", "--html", out)[0] == 0
    html = out.read_text()
    assert html.count('<li class="row"') == 2 and "Running mean" in html
    code, stdout, _ = command(*predict, "--html", "-", "profit rose")
    assert code == 0 and stdout.startswith("<!doctype html>")


def test_a_page_that_fails_leaves_what_was_there(
    tiny_features: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "page.html"
    out.write_text("before")
    said = command.wrong("predict", "-m", tiny_features, "profit", "--html", out)
    assert "a page shows labels" in said
    assert out.read_text() == "before"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--html", "a.html", "-o", "b"], "with --html or with -o, not with both"),
        (["--html", "a.html", "--columns", "text"], "--columns is for"),
        (["--html", "missing/a.html"], "no such directory"),
        (["--explain", "--top-k", "2"], "--top-k is 2; it has no meaning"),
        (["--explain", "--split", "windows"], "split is 'windows'; expected"),
        (["--task", "ner", "--explain"], "--explain is for text-classification"),
    ],
)
def test_refused(
    words: list[str], said: str, predict: list[object], make_bundle: object, command: Command,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if "ner" in words:
        predict = ["predict", "-m", make_bundle(task="token-classification")]  # type: ignore[operator]
    assert said in command.wrong(*predict, "profit rose", *words)
    assert not list(tmp_path.iterdir())


def test_explanations_in_every_form(
    predict: list[object], tiny_bundle: Path, command: Command
) -> None:
    text = "Profit rose, and debt was bad!"
    wanted = pipeline("text-classification", tiny_bundle, threads=1).explain(text)
    found = json.loads(command(*predict, text, "--explain", "--json")[1])
    assert found.pop("text") == text
    assert found["label"] == wanted["label"]
    shares = [word["share"] for word in wanted["words"]]
    assert [word["share"] for word in found["words"]] == pytest.approx(shares, abs=1e-6)
    header, *rows = command(*predict, text, "--explain", "--csv")[1].splitlines()
    assert header == "text,word,share,start,end,label,score"
    assert [row.split(",")[2] for row in rows] == ["Profit", "rose", "and", "debt", "was", "bad"]
    lines = command(*predict, text, "--explain")[1].splitlines()
    assert [line.split("\t")[0] for line in lines] == [word["word"] for word in wanted["words"]]
    head, *bars = command(*predict, text, "--explain", "--table")[1].splitlines()
    assert head.startswith(wanted["label"]) and head.endswith(text)
    assert [bar.split()[0] for bar in bars] == [word["word"] for word in wanted["words"]]
    assert "▰▰▰▰▰▰▰▰" in "".join(bars) or "▱▱▱▱▱▱▱▱" in "".join(bars)


def test_explained_sentences(predict: list[object], report: Path, command: Command) -> None:
    words = [*predict, "-i", report, "--split", "sentences", "--explain"]
    found = json.loads(command(*words, "--json")[1])
    text = report.read_text()
    for sentence in found["sentences"]:
        for word in sentence["words"]:
            assert text[word["start"] : word["end"]] == word["word"]
    header, first, *_ = command(*words, "--csv")[1].splitlines()
    assert header.endswith("prediction,sentiment_score,words")
    assert "Profit " in first and "; rose " in first
    lines = command(*words, "--table")[1].splitlines()
    assert len(lines) == sum(len(part["words"]) for part in found["sentences"]) + 3 + 1
    out = report.with_suffix(".html")
    assert command(*words, "--html", out)[0] == 0
    assert "because of" in out.read_text() and 'class="word w' in out.read_text()
