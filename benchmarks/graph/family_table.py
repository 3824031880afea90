"""A row for each family: what fuses, how near int8 is, who computes it, how fast beside PyTorch.

    python benchmarks/graph/family_table.py --work-dir build/families --prepare
    python benchmarks/graph/family_table.py --work-dir build/families \
        --page docs/families.md -o benchmarks/results/families.json

Seeded weights in the shape of MiniLM's smallest (3 layers of 384), a classifier of three labels,
the tests' own tokenizers: speed does not depend on the values, and int8's agreement on random
weights is a lower bound, since their answers lie nearer to each other. ``--prepare`` exports, which
takes minutes; without it the bundles are timed, the engines in processes of their own that take
turns.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.helpers import families

from contestants import Contestant, Shape, engines_of
from leanbert.cpu import allowed_cores
from leanbert_bench.commands.arguments import shape_list
from leanbert_bench.provenance import describe_machine
from leanbert_bench.results.schema import write_json
from leanbert_bench.sections import replace_section
from leanbert_export.exporting import Report, export
from leanbert_export.samples import sample_texts
from speed import time_graphs
from tokens import read_config, vocabulary_size

Json = dict[str, Any]

MARKS = ("<!-- families:start -->", "<!-- families:end -->")
LAYERS = 3
_SIZES = {
    "hidden_size": 384,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
_DISTILBERT = {"dim": 384, "n_layers": LAYERS, "n_heads": 12, "hidden_dim": 1536}
_NARROW = {"albert": 128, "electra": 128}
"""Families whose embeddings are narrower than their layers."""
_TASK = "text-classification"


def prepare(family: str, work: Path) -> Json:
    """Make the family's checkpoint and its bundle; returns what the export found."""
    this = families.FAMILIES[family]
    sizes: Json = dict(_DISTILBERT if family == "distilbert" else _SIZES)
    if family in _NARROW:
        sizes["embedding_size"] = _NARROW[family]
    kinds: Any = families.FAMILIES
    kinds[family] = replace(this, config={**this.config, **sizes, "initializer_range": 0.05})
    checkpoint = work / family / "checkpoint"
    families.checkpoint(family, _TASK, checkpoint)
    texts = list(sample_texts()[::3])
    bundle = work / family / "bundle"
    report = export(str(checkpoint), bundle, texts=texts, calibration=texts, force=True)
    found = describe(report)
    (work / family / "report.json").write_text(json.dumps(found), encoding="utf-8")
    return found


def describe(report: Report) -> Json:
    """What the table says of an export."""
    return {
        "fused": report.fused,
        "int8_products": report.operators.get("MatMulIntegerToFloat", 0),
        "fp32_difference": report.fp32.max_output_difference,
        "agreement": report.final.agreement,
        "mean_difference": report.final.mean_difference,
        "rows": report.final.rows,
        "native": report.native,
    }


def measure(
    names: Sequence[str], work: Path, shapes: Sequence[Shape], threads: int, turns: int, s: float
) -> Json:
    """Each prepared family's report, with its times."""
    found: Json = {}
    for family in names:
        folder = work / family
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        contestants = [
            Contestant("PyTorch fp32", "torch", folder / "checkpoint"),
            *engines_of("int8", folder / "bundle"),
        ]
        graphs = time_graphs(
            contestants,
            shapes,
            vocabulary=vocabulary_size(read_config(folder / "checkpoint")),
            threads=threads,
            turns=turns,
            seconds=s,
        )
        found[family] = {**report, "times": graphs}
    return found


def table(results: Json) -> str:
    """The Markdown that stands in the docs."""
    shapes = [row["shape"] for row in next(iter(results.values()))["times"]["rows"]]
    columns = ["family", "fused", "int8 products a layer", "same label as PyTorch", "native"]
    columns += [f"{shape}, {engine}" for shape in shapes for engine in ("ONNX Runtime", "native")]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for family, found in results.items():
        cells = [
            family,
            found["fused"].split(";")[0],
            f"{found['int8_products'] / LAYERS:.1f}",
            f"{found['agreement']:.1%} of {found['rows']}",
            "yes" if found["native"].startswith("yes") else "no",
        ]
        for row in found["times"]["rows"]:
            for engine in ("onnxruntime", "native"):
                graph = row["graphs"].get(f"LeanBERT {engine}, int8")
                ratio = next(iter(graph["ratios"].values()))["median"] if graph else None
                cells.append(f"{1 / ratio:.1f}" if ratio else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare, or measure and put the table into the docs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--prepare", action="store_true", help="export, and time nothing")
    parser.add_argument("--families", nargs="+", default=list(families.FAMILIES))
    parser.add_argument("--shapes", type=shape_list, default=((1, 32), (8, 128)))
    parser.add_argument("--threads", type=int, default=allowed_cores())
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn of an engine")
    parser.add_argument("--page", type=Path, help="page that holds the table, between markers")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args(argv)
    if args.prepare:
        for family in args.families:
            print(family, prepare(family, args.work_dir), flush=True)
        return 0
    results = measure(
        args.families, args.work_dir, args.shapes, args.threads, args.turns, args.seconds
    )
    if args.output:
        machine = describe_machine()
        write_json(args.output, {"machine": machine, "threads": args.threads, "rows": results})
    if args.page:
        replace_section(args.page, table(results), *MARKS)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
