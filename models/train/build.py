"""From the fine-tuned checkpoint to the embedded bundle: step two of the embedded model.

    python models/train/build.py --data DATA --checkpoint build/sentiment-fp32

Exports the fp32 and the int8 bundle, measures both and PyTorch on the evaluation sets, writes the
measurements into the int8 bundle's manifest and this folder's README.md, and puts the bundle where
``pipeline("text-classification")`` finds it.
"""

from __future__ import annotations

import argparse
import random
import shutil
from pathlib import Path
from typing import Any

from data import load_sets
from evaluate import PYTORCH, evaluate, table, write_json
from leanbert.bundle import Bundle
from leanbert_bench.report import replace_section
from leanbert_export.exporting import export
from leanbert_export.writing import amend_manifest, new_directory
from leanbert_models import default_model

CARD = {
    "model": "LeanBERT financial sentiment, first version: positive, negative, neutral",
    "licence": "Apache-2.0",
    "base": "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)",
    "data": "zeroshot/twitter-financial-news-sentiment, train (MIT); recorded answers of "
    "ProsusAI/finbert as soft labels",
    "not trained on": "Twitter validation set, Financial PhraseBank (CC BY-NC-SA 3.0), 500 "
    "held-out answers of FinBERT; but FinBERT, whose answers were learnt from, was trained on "
    "PhraseBank",
    "seed": "0; 4 epochs, batch 32, learning rate 8e-5 (models/train/README.md)",
    "limits": "English, short texts; general news leans to neutral; not investment advice",
    "larger": "leanbert export ProsusAI/finbert -o finbert-int8",
}
_CALIBRATION_TEXTS = 3000
_CALIBRATION = f"{_CALIBRATION_TEXTS} of the training texts; a third of them held back for the gate"
_START, _END = "<!-- results:start -->", "<!-- results:end -->"


def results_table(rows: list[dict[str, Any]]) -> str:
    """The measurements as Markdown: a row a set, PyTorch fp32 beside int8."""
    lines = [
        "| set | rows | accuracy fp32 | int8 | macro-F1 fp32 | int8 | ECE int8 | same label "
        "| mean, largest difference of probability |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        fp32, int8 = row[PYTORCH], row["int8"]
        lines.append(
            f"| {row['dataset']} | {row['rows']} | {fp32['accuracy']:.2%} | {int8['accuracy']:.2%} "
            f"| {fp32['macro_f1']:.3f} | {int8['macro_f1']:.3f} | {int8['ece']:.3f} "
            f"| {row['agreement']:.2%} "
            f"| {row['mean_difference']:.4f}, {row['max_difference']:.3f} |"
        )
    return "\n".join(lines)


def build(data: Path, checkpoint: Path, work: Path) -> None:
    """Export, measure, and place the bundle."""
    work.mkdir(parents=True, exist_ok=True)
    bundles = {"fp32": work / "fp32", "int8": work / "int8"}
    sets = load_sets(data)
    texts = [example.text for example in sets.train]
    calibration = random.Random(0).sample(texts, _CALIBRATION_TEXTS)
    export(str(checkpoint), bundles["fp32"], recipe="fp32", force=True)
    report = export(
        str(checkpoint), bundles["int8"], calibration=calibration, max_drop=1.0, force=True
    )
    print(f"{bundles['int8']}: {report.bundle_bytes / 1e6:.1f} MB, {report.gate}")
    rows = evaluate(sets.evaluation(), checkpoint, bundles)
    print(table(rows))
    write_json(work / "evaluation.json", rows)
    made = Bundle.open(bundles["int8"]).manifest
    card = {**CARD, **(made.card if made else {}), "calibration": _CALIBRATION}
    amend_manifest(bundles["int8"], evidence=rows, card=card)
    with new_directory(default_model(), force=True) as placed:  # what ships is measured first
        shutil.copytree(bundles["int8"], placed, dirs_exist_ok=True)
    replace_section(Path(__file__).with_name("README.md"), results_table(rows), _START, _END)


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--checkpoint", type=Path, required=True, help="what finetune.py wrote")
    parser.add_argument("--work", type=Path, default=Path("build/sentiment"), help="scratch folder")
    args = parser.parse_args()
    build(args.data, args.checkpoint, args.work)


if __name__ == "__main__":
    main()
