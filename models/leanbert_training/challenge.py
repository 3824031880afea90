r"""Measure a bundle on sentences of our own: challenges about finance, and texts on other topics.

    python -m leanbert_training.challenge --bundle DIR

The sentences lie in ``tests/data``, whose README.md says what they are. Without ``--bundle`` the
embedded model is measured. The tables go to standard output, as Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert.errors import LeanBertError
from leanbert_bench.metrics import accuracy, calibration_error
from leanbert_models import default_model
from leanbert_training.data import LABELS
from leanbert_training.evaluate import Predict, bundle_predictor, write_json

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDER = Path(__file__).parents[2] / "tests" / "data"
"""The folder of both sets in the repository."""
WORDINGS = 3
HELD_OUT = 2
"""Which wording of each case no model may be trained on: the third."""
SURE = 0.9
"""The confidence from which on an answer counts as sure."""
_SIGNS = {"positive": 1, "negative": -1, "neutral": 0}
START, END = "<!-- challenge:start -->", "<!-- challenge:end -->"
"""The marks between which README.md has the tables."""


@dataclass(frozen=True)
class Case:
    """One meaning in three wordings, with the index of its label in :data:`LABELS`."""

    phenomenon: str
    label: int
    wordings: tuple[str, ...]


@dataclass(frozen=True)
class Other:
    """A text that is not about finance."""

    topic: str
    text: str


def _records(path: Path, keys: Sequence[str]) -> Iterable[tuple[int, dict[str, Any]]]:
    """Each line's number and its object, which has the ``keys``."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error.msg})") from None
        if not isinstance(record, dict) or any(key not in record for key in keys):
            raise ValueError(f"{path}, line {number}: expected an object with {', '.join(keys)}")
        yield number, record


def load_cases(path: Path = FOLDER / "challenge.jsonl") -> list[Case]:
    """Read the challenge set.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is empty, or a line is not a case with a label and three wordings.
    """
    cases = []
    for number, record in _records(path, ("phenomenon", "label", "wordings")):
        label, wordings = record["label"], record["wordings"]
        if label not in LABELS:
            raise ValueError(f"{path}, line {number}: label {label!r}; expected one of {LABELS}")
        if len(wordings) != WORDINGS:
            raise ValueError(f"{path}, line {number}: {len(wordings)} wordings; expected 3")
        cases.append(Case(record["phenomenon"], LABELS.index(label), tuple(wordings)))
    if not cases:
        raise ValueError(f"{path}: no cases")
    return cases


def open_wordings(cases: Sequence[Case]) -> list[tuple[str, int]]:
    """The wordings that a model may be trained on, each with its label's index."""
    return [
        (wording, case.label)
        for case in cases
        for number, wording in enumerate(case.wordings)
        if number != HELD_OUT
    ]


def load_others(path: Path = FOLDER / "not_finance.jsonl") -> list[Other]:
    """Read the texts that are not about finance.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is empty, or a line is not an object with a topic and a text.
    """
    others = [
        Other(record["topic"], record["text"]) for _, record in _records(path, ("topic", "text"))
    ]
    if not others:
        raise ValueError(f"{path}: no texts")
    return others


def _quality(probabilities: Floats, expected: Ints) -> dict[str, Any]:
    """What :func:`measure_cases` says of one group of wordings.

    *Shape:* ``(rows, labels)``, ``(rows,)``.
    """
    answered = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= SURE
    signs = np.array([_SIGNS[label] for label in LABELS])
    return {
        "rows": len(expected),
        "accuracy": accuracy(probabilities, expected),
        "by_label": {
            name: accuracy(probabilities[expected == label], expected[expected == label])
            for label, name in enumerate(LABELS)
            if label in expected
        },
        "opposite": float((signs[answered] * signs[expected] == -1).mean()),
        "ece": calibration_error(probabilities, expected),
        "sure_rows": int(sure.sum()),
        "sure_accuracy": accuracy(probabilities[sure], expected[sure]) if sure.any() else None,
    }


def measure_cases(cases: Sequence[Case], predict: Predict) -> dict[str, Any]:
    """Measure the challenge set, on the wordings never trained on and on the others.

    Returns:
        ``held_out`` and ``others``, each with ``rows``, ``accuracy``, ``by_label`` (the accuracy of
        the cases of each label), ``opposite`` (the share of answers that call good news bad, or
        bad news good), ``ece`` (the expected calibration error), ``sure_rows`` (the number of
        answers with a confidence of at least :data:`SURE`) and ``sure_accuracy`` (``None`` if there
        is no such answer); and ``phenomena``, one dictionary per phenomenon with its name, the
        number of its ``cases``, and the accuracies ``held_out`` and ``others``, from the lowest
        ``held_out`` to the highest.
    """
    answers = predict([text for case in cases for text in case.wordings])
    answers = answers.reshape(len(cases), WORDINGS, len(LABELS))
    labels = np.array([case.label for case in cases], dtype=np.int64)
    right = answers.argmax(axis=2) == labels[:, None]
    open_to_all = [i for i in range(WORDINGS) if i != HELD_OUT]
    phenomena = []
    for phenomenon in dict.fromkeys(case.phenomenon for case in cases):
        rows = np.array([case.phenomenon == phenomenon for case in cases])
        phenomena.append(
            {
                "phenomenon": phenomenon,
                "cases": int(rows.sum()),
                "held_out": float(right[rows, HELD_OUT].mean()),
                "others": float(right[rows][:, open_to_all].mean()),
            }
        )
    return {
        "held_out": _quality(answers[:, HELD_OUT], labels),
        "others": _quality(
            answers[:, open_to_all].reshape(-1, len(LABELS)), labels.repeat(len(open_to_all))
        ),
        "phenomena": sorted(phenomena, key=lambda row: (row["held_out"], row["phenomenon"])),
    }


def measure_others(others: Sequence[Other], predict: Predict) -> list[dict[str, Any]]:
    """What the model says to texts that are not about finance.

    Returns:
        One dictionary per topic, and a last one for all texts: ``topic``, ``rows``, the share of
        each label by its name, and the mean ``confidence``.
    """
    answers = predict([other.text for other in others])
    topics = np.array([other.topic for other in others])
    table = []
    for topic in [*dict.fromkeys(topics.tolist()), "all"]:
        chosen = answers if topic == "all" else answers[topics == topic]
        shares = np.bincount(chosen.argmax(axis=1), minlength=len(LABELS)) / len(chosen)
        row = {"topic": topic, "rows": len(chosen), "confidence": float(chosen.max(axis=1).mean())}
        table.append({**row, **dict(zip(LABELS, shares.tolist(), strict=True))})
    return table


def measure(predict: Predict, folder: Path = FOLDER) -> dict[str, Any]:
    """Measure both sets in ``folder``: ``challenge`` and ``not_finance``.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is not as expected.
    """
    cases = load_cases(folder / "challenge.jsonl")
    others = load_others(folder / "not_finance.jsonl")
    return {
        "challenge": measure_cases(cases, predict),
        "not_finance": measure_others(others, predict),
    }


def _sure(found: dict[str, Any]) -> str:
    if found["sure_accuracy"] is None:
        return "none"
    return f"{found['sure_accuracy']:.1%} of {found['sure_rows']}"


def markdown(measured: dict[str, Any]) -> str:
    """Both measurements as Markdown tables."""
    found = measured["challenge"]
    held, rest = found["held_out"], found["others"]
    lines = ["| phenomenon | cases | wordings held out | the other two |", "|---|---|---|---|"]
    lines += [
        f"| {row['phenomenon'].replace('_', ' ')} | {row['cases']} "
        f"| {row['held_out']:.1%} | {row['others']:.1%} |"
        for row in found["phenomena"]
    ]
    lines += [
        f"| **all: accuracy** | {held['rows']} | **{held['accuracy']:.1%}** "
        f"| {rest['accuracy']:.1%} |",
    ]
    lines += [
        f"| accuracy of the {label} cases | | {held['by_label'][label]:.1%} "
        f"| {rest['by_label'][label]:.1%} |"
        for label in held["by_label"]
    ]
    lines += [
        f"| answered with the opposite sign | | {held['opposite']:.1%} | {rest['opposite']:.1%} |",
        f"| accuracy where confidence is at least {SURE} | | {_sure(held)} | {_sure(rest)} |",
        f"| expected calibration error | | {held['ece']:.3f} | {rest['ece']:.3f} |",
        "",
        f"| not about finance | texts | {' | '.join(LABELS)} | mean confidence |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['topic']} | {row['rows']} | "
        + " | ".join(f"{row[label]:.1%}" for label in LABELS)
        + f" | {row['confidence']:.2f} |"
        for row in measured["not_finance"]
    ]
    return "\n".join(lines)


def main() -> int:
    """Parse the command line, measure, print the tables, and write the file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    add("--bundle", type=Path, metavar="DIR", help="bundle to measure (default: the embedded one)")
    add("--data", type=Path, default=FOLDER, help="folder of both sets (default: tests/data)")
    add("-o", "--output", type=Path, help="JSON file to write as well")
    args = parser.parse_args()
    try:
        measured = measure(bundle_predictor(args.bundle or default_model()), args.data)
        print(markdown(measured))
        if args.output is not None:
            write_json(args.output, measured)
    except (LeanBertError, OSError, ValueError) as error:
        print(f"challenge: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
