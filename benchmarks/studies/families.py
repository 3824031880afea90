r"""Export a small model of each family, and time it beside PyTorch: what fuses, how near int8 is.

The weights are seeded, in the shape of MiniLM's smallest (3 layers of 384), with a classifier of
three labels and the embedded model's vocabulary. Speed does not depend on the values. Agreement on
random weights is a lower bound, since their answers lie near each other. --prepare exports, which
takes minutes; without it the bundles are timed by leanbert bench run.

examples:
  python -m studies.families --work-dir build/families --prepare
  python -m studies.families --work-dir build/families -o benchmarks/results/families.json
  python -m studies.families --table benchmarks/results/families.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from leanbert.cli import main as leanbert
from leanbert.cpu import allowed_cores
from leanbert.errors import InputError
from leanbert_bench.provenance import describe_study
from leanbert_bench.results.access import backend_of, shapes_of
from leanbert_bench.results.per_turn import faster, forward_ms
from leanbert_bench.results.schema import read_json, read_results
from leanbert_bench.run.random_weights import save_random_checkpoint
from studies.command_line import Json, measure_or_show, new_parser, one_line_errors

LAYERS = 3
REFERENCE = "pytorch-eager-fp32"
ENGINES = ("onnxruntime", "native")

_SIZES = {
    "hidden_size": 384,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
_DISTILBERT = {"dim": 384, "n_layers": LAYERS, "n_heads": 12, "hidden_dim": 1536}
_POSITIONS = {"max_position_embeddings": 514, "type_vocab_size": 1}

FAMILIES: Mapping[str, Json] = {
    "bert": _SIZES,
    "bert-cased": {**_SIZES, "model_type": "bert", "lower_case": False},
    "roberta": {**_SIZES, **_POSITIONS},
    "distilbert": _DISTILBERT,
    "electra": {**_SIZES, "embedding_size": 128},
    "albert": {**_SIZES, "embedding_size": 128},
    "xlm-roberta": {**_SIZES, **_POSITIONS},
    "mpnet": {**_SIZES, "max_position_embeddings": 514},
    "deberta-v2": {
        **_SIZES,
        "relative_attention": True,
        "position_buckets": 32,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": {
        **_SIZES,
        "local_attention": 16,
        "global_attn_every_n_layers": 2,
        "reference_compile": False,
    },
}
"""What differs from the defaults of each family's config, in the order of the table."""


def prepare(family: str, folder: Path) -> Json:
    """Make a family's checkpoint and its bundle in ``folder``; return what the export found.

    Raises:
        LeanBertError: the export failed.
    """
    from leanbert_export.exporting import export
    from leanbert_export.samples import sample_texts

    checkpoint = folder / "checkpoint"
    config = {"model_type": family, "vocab_size": 30522, "initializer_range": 0.05}
    save_random_checkpoint(checkpoint, **{**config, **FAMILIES[family]})
    texts = list(sample_texts()[::3])
    report = export(str(checkpoint), folder / "bundle", texts=texts, calibration=texts, force=True)
    found: Json = {
        "family": family,
        "fused": report.graph,
        "int8_matmuls": report.operators.get("MatMulIntegerToFloat", 0),
        "fp32_difference": report.fp32.max_output_difference,
        "agreement": report.final.agreement,
        "mean_difference": report.final.mean_difference,
        "rows": report.final.rows,
        "native": report.native,
    }
    (folder / "report.json").write_text(json.dumps(found), encoding="utf-8")
    return found


def measure(folder: Path, options: Sequence[str]) -> Json:
    """Return what a family's export found, with its times per turn by shape and engine.

    Args:
        folder: what :func:`prepare` filled.
        options: further words of leanbert bench run.

    Raises:
        InputError: nothing was prepared there, or the run failed.
    """
    report = read_json(folder / "report.json")
    engines = ENGINES if report["native"].startswith("yes") else ENGINES[:1]
    file = folder / "results.json"
    words = ["bench", "run", "--checkpoint", str(folder / "checkpoint"), "--measure", "forward"]
    words += ["--bundle", str(folder / "bundle"), "--engines", ",".join(engines)]
    words += ["--backends", REFERENCE, *options, "-o", str(file)]
    if leanbert(words):
        raise InputError(f"{folder}: the back ends above gave no result")
    results = read_results(file)
    who = {"pytorch": REFERENCE, **{name: f"leanbert:bundle:{name}" for name in engines}}
    times = {
        shape: {
            name: forward_ms(backend_of(results, id_) or {}, shape) for name, id_ in who.items()
        }
        for shape in shapes_of(results)
    }
    return {**report, "times": times}


def table(found: Json) -> str:
    """Return the Markdown table of the results."""
    shapes = list(found["rows"][0]["times"])
    columns = ["family", "fused", "int8 matmuls per layer", "same label as PyTorch", "native"]
    columns += [f"{shape}, {engine}" for shape in shapes for engine in ("ONNX Runtime", "native")]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in found["rows"]:
        cells = [
            row["family"],
            row["fused"].split(";")[0],
            f"{row['int8_matmuls'] / LAYERS:.1f}",
            f"{row['agreement']:.1%} of {row['rows']}",
            "yes" if row["native"].startswith("yes") else "no",
        ]
        for shape in shapes:
            times = row["times"][shape]
            ratios = [faster(times.get(engine) or [], times["pytorch"]) for engine in ENGINES]
            cells += [f"{ratio.median:.1f}" if ratio else "" for ratio in ratios]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__, results=True)
    add = parser.add_argument
    add("--work-dir", type=Path, metavar="DIR", help="checkpoints and bundles, by family")
    add("--prepare", action="store_true", help="export, and time nothing")
    add("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES, metavar="NAME")
    add("--grid", default="1x32,8x128", metavar="BxT,...", help="batch x tokens (1x32,8x128)")
    add("--threads", type=int, default=allowed_cores(), help="of each engine (all allowed)")
    add("--turns", type=int, default=3, help="of each back end (3)")
    args = parser.parse_args(words)
    if (args.work_dir is None) == (args.table is None):
        parser.error("give --work-dir DIR, or --table FILE")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Prepare, or measure and print the table, or print that of earlier results."""
    args = parse(words)

    def prepare_all() -> int:
        for family in args.families:
            print(family, prepare(family, args.work_dir / family), flush=True)
        return 0

    def measure_all() -> Json:
        options = ["--grid", args.grid, "--threads", str(args.threads), "--turns", str(args.turns)]
        rows = [measure(args.work_dir / family, options) for family in args.families]
        return {**describe_study(), "threads": args.threads, "rows": rows}

    if args.prepare:
        return one_line_errors("families", prepare_all)
    return measure_or_show("families", args, measure_all, table)


if __name__ == "__main__":
    sys.exit(main())
