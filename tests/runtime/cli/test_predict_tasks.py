"""``leanbert predict`` for every task: what is asked, and how answers are written."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.cli import main
from leanbert.records import open_table
from tests.helpers.sentences import split_sentences
from tests.helpers.tiny_bundles import LABELS, Tiny, probabilities

NLI = ("contradiction", "neutral", "entailment")
REPORT = 'Profit rose, it said.  "Bad debt!"\nSales fell in the U.S. today.\n\nA record year.\n'


class Command:
    """``leanbert predict`` with one of the tiny models, in this process."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], make_bundle: Callable[..., Path]
    ) -> None:
        self._capsys = capsys
        self._make = make_bundle

    def __call__(self, options: dict[str, Any], *words: object) -> str:
        code, out, err = self.run(options, *words)
        assert (code, err) == (0, "")
        return out

    def run(self, options: dict[str, Any], *words: object) -> tuple[int, str, str]:
        folder = self._make(**options)
        self._capsys.readouterr()
        code = main(["predict", "-m", str(folder), "--threads", "1", *map(str, words)])
        return code, *self._capsys.readouterr()

    def wrong(self, options: dict[str, Any], *words: object) -> str:
        """What stderr says of wrong use."""
        code, out, err = self.run(options, *words)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"leanbert: [^\n]+\n", err)
        return err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], make_bundle: Callable[..., Path]) -> Command:
    return Command(capsys, make_bundle)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_text(REPORT, encoding="utf-8")
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def floats(printed: str) -> list[float]:
    return [float(number) for number in printed.strip("[]").split()]


def test_the_csv_of_finbert(command: Command, report: Path, tmp_path: Path) -> None:
    """The columns, their order and their content are those of its predict.py."""
    path = tmp_path / "predictions.csv"
    words = ("--split", "sentences", "--input", report)
    assert command({}, *words, "--output", path) == ""
    content = path.read_text(encoding="utf-8")
    assert content.splitlines()[0] == "sentence,logit,prediction,sentiment_score"
    rows = rows_of(content)
    assert [row["sentence"] for row in rows] == split_sentences(REPORT)
    assert len(rows) == 4
    for row in rows:
        wanted = probabilities(Tiny(), row["sentence"])
        assert floats(row["logit"]) == pytest.approx(wanted, abs=1e-6)
        assert row["prediction"] == LABELS[int(np.argmax(wanted))]
        assert float(row["sentiment_score"]) == pytest.approx(wanted[0] - wanted[1], abs=1e-6)
    assert command({}, *words, "--csv") == content


def test_several_documents_are_numbered(command: Command, tmp_path: Path) -> None:
    out = command({}, "--split", "sentences", "--csv", "Profit rose. It fell.", "A record.")
    rows = rows_of(out)
    assert [(row["document"], row["sentence"]) for row in rows] == [
        ("0", "Profit rose."),
        ("0", "It fell."),
        ("1", "A record."),
    ]
    path = tmp_path / "news.csv"
    path.write_text('text\n"Profit rose. It fell."\nA record.\n')
    assert command({}, "--split", "sentences", "--csv", "-i", path) == out


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_each_part_keeps_the_columns_of_its_input(
    command: Command, tmp_path: Path, ending: str
) -> None:
    """All but the text's own, which stands there part by part; no name is written twice."""
    output = tmp_path / f"parts{ending}"
    path = tmp_path / "news.csv"
    path.write_text(
        'id,headline,sentence,document\n7,"Profit rose. It fell.",a,x\n8,A record.,b,y\n'
    )
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    command({}, "--split", "sentences", "-i", path, "--text-column", "headline", "-o", output)
    with open_table(output) as table:
        rows = [[str(value) for value in row.values.values()][:5] for row in table.rows]
        names = table.columns
    assert names == (
        "predicted_document", "id", "sentence", "document",
        "predicted_sentence", "logit", "prediction", "sentiment_score",
    )  # fmt: skip
    assert rows == [
        ["0", "7", "a", "x", "Profit rose."],
        ["0", "7", "a", "x", "It fell."],
        ["1", "8", "b", "y", "A record."],
    ]


def test_columns_of_parts_read_from_a_pipe(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b'{"id": 7, "text": "Profit rose. It fell."}\n{"id": 8, "text": "A record."}\n'
    words = ("--split", "sentences", "--input-format", "jsonl", "--csv")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    rows = rows_of(command({}, *words))
    assert [(row["document"], row["id"], row["sentence"]) for row in rows] == [
        ("0", "7", "Profit rose."),
        ("0", "7", "It fell."),
        ("1", "8", "A record."),
    ]


def test_documents_in_other_forms(
    command: Command, report: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    words = ("--split", "sentences", "-i", report)
    wanted = pipeline(model=tiny_bundle).document(REPORT)
    found = json.loads(command({}, *words, "--json"))
    assert found.pop("text") == REPORT
    assert list(found) == ["label", "score", "scores", "sentiment_score", "sentences"]
    assert found["sentiment_score"] == pytest.approx(wanted["sentiment_score"], abs=1e-6)
    assert [part["start"] for part in found["sentences"]] == [
        part["start"] for part in wanted["sentences"]
    ]
    lines = command({}, *words).splitlines()
    assert [line.split("\t")[3] for line in lines] == split_sentences(REPORT)
    assert {len(line.split("\t")) for line in lines} == {4}
    assert float(lines[0].split("\t")[2]) == pytest.approx(
        wanted["sentences"][0]["sentiment_score"], abs=6e-5
    )
    table = command({}, *words, "--table").splitlines()
    assert len(table) == 5
    assert f"{wanted['sentiment_score']:+.3f}  = the document: sentences 4" in table[-1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(REPORT.encode())))
    assert command({}, "--split", "sentences").splitlines() == lines


def test_windows(command: Command, tiny_bundle: Path) -> None:
    text = "profit rose and the bank said " * 8
    classify = pipeline(model=tiny_bundle)
    out = command({}, "--window", 12, "--stride", 4, "--combine", "max", "--json", text)
    [wanted] = classify(text, window=12, stride=4, combine="max")
    assert json.loads(out) == {"text": text, **wanted}
    rows = rows_of(command({}, "--split", "windows", "--window", 12, "--csv", text))
    parts = classify.document(text, split="windows", window=12)["windows"]
    assert [row["window"] for row in rows] == [part["text"] for part in parts]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_the_output_follows_its_ending(command: Command, tmp_path: Path, ending: str) -> None:
    source = tmp_path / "news.csv"
    source.write_bytes(
        'id,headline,label\r\n1,"profit, it\r\nrose",x\r\n2,ärger,y\r\n'.encode("utf-8-sig")
    )
    path = tmp_path / f"answers{ending}"
    command({}, "-i", source, "--text-column", "headline", "-o", path)
    content = path.read_bytes().decode()
    rows: list[dict[str, Any]] = rows_of(content)
    if ending == ".jsonl":
        rows = [json.loads(line) for line in content.splitlines()]
    assert list(rows[0]) == ["id", "headline", "label", "predicted_label", *list(rows[0])[4:]]
    assert [row["label"] for row in rows] == ["x", "y"]
    assert [row["headline"].replace("\r", "") for row in rows] == ["profit, it\nrose", "ärger"]
    for row in rows:
        wanted = probabilities(Tiny(), row["headline"])
        assert float(row["score"]) == pytest.approx(max(wanted), abs=1e-6)
        assert row["predicted_label"] == LABELS[int(np.argmax(wanted))]


def test_a_column_for_each_label(command: Command) -> None:
    [row] = rows_of(command({}, "--csv", "--top-k", "all", "profit rose"))
    assert list(row) == ["text", "label", "score", *LABELS]
    wanted = probabilities(Tiny(), "profit rose")
    assert [float(row[label]) for label in LABELS] == pytest.approx(wanted, abs=1e-6)


def test_parquet_needs_pyarrow(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "news.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert 'pip install "leanbert[bulk]"' in command.wrong({}, "-i", path)


def test_parquet(command: Command, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "news.parquet"
    parquet.write_table(pyarrow.table({"text": ["profit rose", "a loss"], "n": [1, 2]}), path)
    rows = [json.loads(line) for line in command({}, "-i", path, "--json").splitlines()]
    assert [(row["text"], row["n"]) for row in rows] == [("profit rose", 1), ("a loss", 2)]


def test_fill_mask(command: Command, make_bundle: Callable[..., Path]) -> None:
    tiny: dict[str, Any] = {"task": "fill-mask"}
    wanted = pipeline(model=make_bundle(**tiny))("profit [MASK]", top_k=2)
    lines = command(tiny, "profit [MASK]", "--top-k", 2).splitlines()
    assert [line.split("\t")[0] for line in lines] == [row["token_str"] for row in wanted]
    assert [line.split("\t")[3] for line in lines] == [row["sequence"] for row in wanted]
    found = json.loads(command(tiny, "profit [MASK]", "--json", "--targets", "loss, gain"))
    assert {row["token_str"] for row in found["answers"]} == {"loss", "gain"}
    rows = rows_of(command(tiny, "[MASK] [MASK]", "--csv", "--top-k", 3))
    assert len(rows) == 6
    assert list(rows[0]) == ["text", "token_str", "score", "token", "sequence"]
    table = command(tiny, "profit [MASK]", "--table", "--top-k", 1)
    assert re.fullmatch(
        rf"{wanted[0]['token_str']}  \d\.\d{{3}} .* {wanted[0]['sequence']}\n", table
    )


def test_zero_shot(command: Command, make_bundle: Callable[..., Path]) -> None:
    tiny: dict[str, Any] = {"labels": NLI}
    words: list[Any] = ["--task", "zero-shot-classification", "profit rose"]
    given = ["--candidate-labels", "up,down", "--hypothesis-template", "it is {}"]
    judge = pipeline("zero-shot-classification", make_bundle(**tiny))
    for more, options in ([], {}), (["--multi-label"], {"multi_label": True}):
        wanted = judge("profit rose", ["up", "down"], hypothesis_template="it is {}", **options)
        found = json.loads(command(tiny, *words, *given, *more, "--json"))
        assert found == {
            "text": "profit rose",
            "labels": wanted["labels"],
            "scores": wanted["scores"],
        }
    [row] = rows_of(command(tiny, *words, *given, "--csv"))
    assert list(row) == ["text", "label", "score", "up", "down"]
    cells = command(tiny, *words, *given).rstrip("\n").split("\t")
    assert sorted(cells[:4:2]) == ["down", "up"]
    assert "--candidate-labels" in command.wrong(tiny, *words)


def test_text_ranking(command: Command, make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    tiny: dict[str, Any] = {"labels": ("score",)}
    task = ("--task", "text-ranking")
    rank = pipeline("text-ranking", make_bundle(**tiny))
    documents = ["a bad loss", "profit rose", "the bank"]
    wanted = rank({"query": "growth", "documents": documents}, return_documents=True)
    flags = [word for text in documents for word in ("--document", text)]
    lines = command(tiny, *task, "--query", "growth", *flags).splitlines()
    assert [line.split("\t")[1:] for line in lines] == [
        [str(row["corpus_id"]), row["text"]] for row in wanted
    ]
    found = json.loads(command(tiny, *task, "--query", "growth", *documents, "--json"))
    assert found == {"query": "growth", "documents": wanted}
    rows = rows_of(command(tiny, *task, "--query", "growth", *documents, "--csv", "--top-k", 2))
    assert [row["corpus_id"] for row in rows] == [str(row["corpus_id"]) for row in wanted[:2]]
    path = tmp_path / "pairs.csv"
    path.write_text("q,text\ngrowth,a bad loss\nprofit,the bank\n")
    out = command(tiny, *task, "-i", path, "--query-column", "q", "--json")
    scores = [json.loads(line)["score"] for line in out.splitlines()]
    assert scores == pytest.approx(rank([("growth", "a bad loss"), ("profit", "the bank")]))
    assert "no column 'x'; it has 'q' and 'text' (pass --query-column)" in command.wrong(
        tiny, *task, "-i", path, "--query-column", "x"
    )
    assert "--query" in command.wrong(tiny, *task, "a")


def test_token_classification(command: Command, make_bundle: Callable[..., Path]) -> None:
    tiny: dict[str, Any] = {"task": "token-classification", "labels": ("O", "B-ORG", "I-ORG")}
    text = "profit rose, a bad loss"
    tag = pipeline(model=make_bundle(**tiny))
    wanted = tag(text, aggregation_strategy="simple")
    assert wanted
    found = json.loads(command(tiny, text, "--json"))
    assert [row["word"] for row in found["entities"]] == [row["word"] for row in wanted]
    cells = [line.split("\t") for line in command(tiny, text).splitlines()]
    assert [[row[0], row[2], row[3]] for row in cells] == [
        [row["entity_group"], str(row["start"]), str(row["end"])] for row in wanted
    ]
    shown = command(tiny, text, "--table")
    first = wanted[0]
    assert f"[{text[first['start'] : first['end']]} ORG {first['score']:.2f}]" in shown
    every = command(tiny, text, "--aggregation-strategy", "none", "--ignore-labels", "B-ORG")
    tokens = tag(text, ignore_labels=["B-ORG"])
    assert [line.split("\t")[0] for line in every.splitlines()] == [row["entity"] for row in tokens]


def test_question_answering(
    command: Command, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    tiny: dict[str, Any] = {"task": "question-answering", "labels": ("start", "end")}
    context = "the bank said profit rose in the quarter"
    answer = pipeline(model=make_bundle(**tiny), threads=1)
    wanted = answer(question="what rose", context=context)
    found = json.loads(command(tiny, "--question", "what rose", "--context", context, "--json"))
    assert found == {"text": context, **wanted}
    cells = command(tiny, "--question", "what rose", context).rstrip("\n").split("\t")
    assert cells[0] == wanted["answer"]
    assert cells[2:] == [str(wanted["start"]), str(wanted["end"])]
    path = tmp_path / "asked.csv"
    path.write_text(f"question,context\nwhat rose,{context}\nwhat fell,{context}\n")
    columns = ["--question-column", "question", "--text-column", "context"]
    out = command(tiny, "-i", path, *columns, "--top-k", 2, "--max-answer-len", 3, "--csv")
    assert {row["question"] for row in rows_of(out)} == {"what rose", "what fell"}
    assert len(rows_of(out)) == 4
    assert "--question" in command.wrong(tiny, context)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--targets", "a"], "--targets is for fill-mask, not for text-classification"),
        (["--pooling", "mean"], "--pooling is for feature-extraction"),
        (["--multi-label"], "--multi-label is for zero-shot-classification"),
        (
            ["--split", "sentences", "--window", 9],
            "--window is 9; sentences have no windows: leave it out, or pass --split windows",
        ),
        (["--explain", "--top-k", 2], "--top-k is 2; it has no meaning where a whole text is"),
        (["--window", 2], "--window is 2; 2 special tokens leave no room for text"),
        (["--stride", "-1"], "stride is -1"),
    ],
)
def test_flags_of_another_task(command: Command, words: list[object], said: str) -> None:
    assert said in command.wrong({}, "a", *words)


@pytest.mark.parametrize("flag", ["--threads", "--max-length", "--max-memory-mb", "--stride"])
@pytest.mark.parametrize("given", ["half", "1.5", "9" * 5000])
def test_values_that_are_no_numbers(
    flag: str, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["predict", flag, given, "a"])
    said = f"{flag}: {given[:40]!r} is no whole number of a few digits"
    assert said in capsys.readouterr().err.splitlines()[-1]
