"""Files and texts to calibrate on: what an export reads, and what it refuses before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert.cli import main
from leanbert.errors import InputError
from leanbert_export import exporting
from leanbert_export.exporting import export
from tests.export.conftest import Workshop

TEXTS = ["profit rose", "sales fell a lot", "the board met on Monday", "营业利润", "a new plan"]


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments are refused before any work is done."""

    def trace(*_: Any) -> Any:
        raise AssertionError("the export began")

    monkeypatch.setattr(exporting, "find_source", trace)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_calibration_files(
    suffix: str,
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = ["positive", "negative", "neutral"]
    rows = [{"text": text, "label": labels[i % 3]} for i, text in enumerate(TEXTS)]
    lines = {
        "txt": TEXTS,
        "csv": ["text,label", *(f"{row['text']},{row['label']}" for row in rows)],
        "jsonl": [json.dumps(row) for row in rows],
    }
    path = tmp_path / f"news.{suffix}"
    path.write_text("\n".join(lines[suffix]) + "\n", encoding="utf-8")
    output = tmp_path / "out"
    labelled = [] if suffix == "txt" else ["--label-column", "label"]
    arguments = ["export", str(workshop.tiny()), "-o", str(output), "--json", "--max-drop", "100"]
    assert main([*arguments, "--calibration", str(path), *labelled]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["calibration"] == path.name
    assert card["gate"]["metric"] == ("agreement" if suffix == "txt" else "accuracy")
    assert card["gate"]["rows"] == card["rows"] == 2
    assert card["gate"]["max_drop"] == 100
    recipe = json.loads((output / "leanbert.json").read_text(encoding="utf-8"))["recipe"]
    assert (recipe["calibration"], recipe["calibration_rows"]) == (path.name, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line", "flags"),
    [
        ("news.tsv", "{text}\t{label}", []),
        ("news.txt", "{text}@{label}", ["--delimiter", "@"]),
        ("news.csv", "{text};{label}", ["--delimiter", ";"]),
    ],
)
def test_other_calibration_files(
    name: str,
    line: str,
    flags: list[str],
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Latin-1, tabs, Financial PhraseBank's text@label, and a cell of 200,000 characters."""
    texts = ["Gewinn stieg, Umsätze fielen", "a b", "niet één", "x " * 100_000, "déjà vu", "so so"]
    header = [] if name.endswith("txt") else [line.format(text="text", label="label")]
    rows = [line.format(text=text, label="neutral") for text in texts]
    path = tmp_path / name
    path.write_bytes("\n".join([*header, *rows]).encode("latin-1"))
    given = ["--calibration", str(path), "--label-column", "label", "--max-drop", "100", *flags]
    arguments = ["export", str(workshop.tiny()), "-o", str(tmp_path / "out"), "--json", *given]
    assert main(arguments) == 2
    assert "not valid utf-8" in capsys.readouterr().err
    assert main([*arguments, "--encoding", "latin-1"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["calibration"], card["gate"]["metric"]) == (name, "accuracy")
    assert card["gate"]["rows"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calibration", "words.csv"], "no column 'text'; it has 'words' and 'label' (pass"),
        (
            ["--calibration", "words.csv", "--text-column", "words", "--label-column", "mood"],
            "words.csv: no column 'mood'; it has 'words' and 'label'",
        ),
        (
            ["--calibration", "words.csv", "--text-column", "words", "--label-column", "label"],
            "words.csv: line 3: the label 'sad' is not the model's; it has 0 pos",
        ),
        (["--label-column", "label"], "a label column needs a calibration file"),
        (["--recipe", "fp32", "--calibration", "words.csv"], "the fp32 recipe takes no calib"),
        (["--recipe", "fp32", "--max-drop", "1"], "the fp32 recipe takes no calib"),
        (["--max-drop", "-0.1"], "--max-drop is -0.1; expected percentage points from 0 to 100"),
        (["--max-drop", "101"], "--max-drop is 101.0; expected percentage points from 0 to 100"),
        (["--tie-margin", "1"], "--tie-margin is 1.0; expected a probability from 0 to 1"),
        (["--recipe", "fp32", "--tie-margin", "0.1"], "the fp32 recipe takes no calib"),
        (["--max-drop", "nan"], "--max-drop is nan; expected percentage points from 0 to 100"),
        (["--calibration", "nowhere.csv"], "nowhere.csv: No such file or directory"),
        (
            ["--task", "feature-extraction", "--calibration", "words.csv", "--label-column", "x"],
            "feature-extraction has no labels; leave the label column out",
        ),
    ],
)  # fmt: skip
def test_calibration_arguments_are_refused(
    arguments: list[str],
    message: str,
    workshop: Workshop,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    unreachable: None,
    nothing_left: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path_factory.mktemp("data")
    monkeypatch.chdir(data)
    (data / "words.csv").write_text("words,label\ngood,0\nbad,sad\n", encoding="utf-8")
    output = tmp_path / "out"
    assert main(["export", str(workshop.tiny()), "-o", str(output), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("leanbert: ")
    assert message in captured.err
    nothing_left()


@pytest.mark.parametrize("calibration", [[], ["one"], ["one", 2]])
def test_calibration_texts_are_refused(
    calibration: list[Any], workshop: Workshop, tmp_path: Path, unreachable: None
) -> None:
    with pytest.raises(InputError, match=r"^calibration: expected two texts or more$"):
        export(str(workshop.tiny()), tmp_path / "out", calibration=calibration)
    assert not list(tmp_path.iterdir())
