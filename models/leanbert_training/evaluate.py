r"""Measure the sentiment model on the public sets: its checkpoint in PyTorch, and its bundles.

    python -m leanbert_training.evaluate --data DATA \
        --checkpoint build/sentiment/sentiment-fp32 \
        --bundle fp32=DIR --bundle int8=DIR -o evaluation.json

``--checkpoint`` needs torch and transformers; bundles run in LeanBERT itself. The table goes to
standard output, and ``--dry`` writes no file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanbert import pipeline
from leanbert.errors import LeanBertError
from leanbert.files import whole_file
from leanbert_bench.metrics import accuracy, calibration_error, macro_f1, nearness
from leanbert_training.data import LABELS, Example, load_sets

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Predict = Callable[[Sequence[str]], Floats]

PYTORCH = "pytorch"
INT8 = "int8"
MAX_LENGTH = 512
_NEARNESS = ("agreement", "mean_difference", "max_difference")
_OWN_KEYS = (PYTORCH, "dataset", "rows", "reference", *_NEARNESS)
_REFERENCES = {"finbert_held_out": "the label of ProsusAI/finbert: accuracy is agreement with it"}
_PEOPLE = "the data set's own label"


def quality(probabilities: Floats, expected: Ints) -> dict[str, float]:
    """Accuracy, macro-F1 and expected calibration error of one model on one set.

    *Shape:* ``(rows, labels)``, ``(rows,)``.
    """
    return {
        "accuracy": accuracy(probabilities, expected),
        "macro_f1": macro_f1(probabilities, expected),
        "ece": calibration_error(probabilities, expected),
    }


def closeness(probabilities: Floats, reference: Floats) -> dict[str, float]:
    """How near the probabilities of one model are to those of another.

    ``agreement`` is the share of rows with the same label; the mean and the largest difference are
    of probabilities, over all rows and labels.

    *Shape:* ``(rows, labels)`` both.
    """
    return {
        "agreement": accuracy(probabilities, reference.argmax(axis=1)),
        **nearness(probabilities, reference),
    }


def bundle_predictor(directory: Path) -> Predict:
    """A function that answers texts with the bundle in ``directory``.

    Raises:
        LeanBertError: the bundle cannot be used.
    """
    classify = pipeline("text-classification", directory)

    def predict(texts: Sequence[str]) -> Floats:
        answers = classify(list(texts), top_k=None, truncation=True)
        scores = [{item["label"]: item["score"] for item in answer} for answer in answers]
        try:
            return np.array([[row[label] for label in LABELS] for row in scores], dtype=np.float64)
        except KeyError as error:
            raise ValueError(f"{directory}: the model has no label {error}") from None

    return predict


def checkpoint_predictor(directory: Path, batch_size: int = 32) -> Predict:
    """A function that answers texts with a Hugging Face checkpoint, in PyTorch and fp32.

    Raises:
        ValueError: the checkpoint's labels are not ours, or in another order.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory).float().eval()
    names = tuple(model.config.id2label[i] for i in sorted(model.config.id2label))
    if names != LABELS:
        raise ValueError(f"{directory}: labels are {names}, expected {LABELS}")

    def predict(texts: Sequence[str]) -> Floats:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        result = np.empty((len(texts), len(LABELS)), dtype=np.float64)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            inputs = tokenizer(
                [texts[i] for i in rows],
                padding=True,
                truncation=True,
                max_length=MAX_LENGTH,
                return_tensors="pt",
            )
            with torch.inference_mode():
                result[rows] = torch.softmax(model(**inputs).logits, dim=-1).numpy()
        return result

    return predict


def set_row(
    name: str, expected: Ints, answers: dict[str, Floats], compared: str = INT8
) -> dict[str, Any]:
    """The measurements of all models on one set.

    The entry of each bundle says how near it is to PyTorch. These figures of ``compared`` are
    repeated at the top, where the card reads them.
    """
    row: dict[str, Any] = {
        "dataset": name,
        "rows": len(expected),
        "reference": _REFERENCES.get(name, _PEOPLE),
    }
    reference = answers.get(PYTORCH)
    for model, probabilities in answers.items():
        row[model] = quality(probabilities, expected)
        if reference is not None and model != PYTORCH:
            near = closeness(probabilities, reference)
            row[model].update(near)
            if model == compared:
                row.update(near)
    return row


def evaluate(
    sets: dict[str, list[Example]], checkpoint: Path | None, bundles: dict[str, Path]
) -> list[dict[str, Any]]:
    """Measure the checkpoint and the bundles on every set. A text in two sets is answered once.

    Args:
        sets: the evaluation sets by name.
        checkpoint: a Hugging Face checkpoint for PyTorch, or ``None``.
        bundles: the directory of each bundle by its name in the result.

    Returns:
        One dictionary per set, ready for JSON.

    Raises:
        LeanBertError: a bundle cannot be used.
        ValueError: a model's labels are not ours, or a set is empty.
        OSError: a file is missing.
    """
    for name, examples in sets.items():
        if not examples:
            raise ValueError(f"the set {name} is empty")
    predictors: dict[str, Predict] = {}  # a model that cannot be opened fails before a long run
    if checkpoint is not None:
        predictors[PYTORCH] = checkpoint_predictor(checkpoint)
    predictors.update({name: bundle_predictor(path) for name, path in bundles.items()})

    place: dict[str, int] = {}
    for examples in sets.values():
        for example in examples:
            place.setdefault(example.text, len(place))
    answers: dict[str, Floats] = {}
    for model, predict in predictors.items():
        print(f"{model}: {len(place)} texts", file=sys.stderr)
        answers[model] = predict(list(place))

    rows = []
    for name, examples in sets.items():
        index = np.array([place[example.text] for example in examples])
        expected = np.array([example.label for example in examples], dtype=np.int64)
        rows.append(set_row(name, expected, {model: p[index] for model, p in answers.items()}))
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The measurements as plain text: one line per set and model."""
    head = f"{'set':<22}{'rows':>6}  {'model':<10}{'accuracy':>9}{'macro-F1':>9}{'ECE':>8}"
    lines = [f"{head}{'agree':>9}{'mean diff':>11}{'max diff':>10}"]
    for row in rows:
        for model, measured in row.items():
            if not isinstance(measured, dict):
                continue
            line = (
                f"{row['dataset']:<22}{row['rows']:>6}  {model:<10}{measured['accuracy']:>9.4f}"
                f"{measured['macro_f1']:>9.4f}{measured['ece']:>8.4f}"
            )
            if "agreement" in measured:
                line += (
                    f"{measured['agreement']:>9.4f}{measured['mean_difference']:>11.6f}"
                    f"{measured['max_difference']:>10.6f}"
                )
            lines.append(line)
    return "\n".join(lines)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON; after a failure ``path`` still holds the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def named_bundle(value: str) -> tuple[str, Path]:
    """Parse ``NAME=DIR``."""
    name, _, directory = value.partition("=")
    if not name or not directory:
        raise argparse.ArgumentTypeError(f"{value!r} is not NAME=DIR, for example int8=build/int8")
    if name in _OWN_KEYS:
        raise argparse.ArgumentTypeError(f"{name!r} is a name of the result's own; take another")
    return name, Path(directory)


def main() -> int:
    """Parse the command line, measure, print the table and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--checkpoint", type=Path, help="Hugging Face checkpoint, run by PyTorch")
    parser.add_argument(
        "--bundle",
        type=named_bundle,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="bundle to measure; may be repeated",
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--dry", action="store_true", help="print the table, write no file")
    args = parser.parse_args()
    bundles = dict(args.bundle)
    if not args.dry and args.output is None:
        parser.error("pass -o FILE, or --dry to write none")
    if args.checkpoint is None and not bundles:
        parser.error("pass --checkpoint DIR or --bundle NAME=DIR: there is nothing to measure")
    if len(bundles) < len(args.bundle):
        parser.error("two bundles have the same name")
    if args.checkpoint is not None and not args.checkpoint.is_dir():
        parser.error(f"no checkpoint at {args.checkpoint}")
    try:
        rows = evaluate(load_sets(args.data).evaluation(), args.checkpoint, bundles)
        print(table(rows))
        if not args.dry:
            write_json(args.output, rows)
    except (LeanBertError, OSError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
