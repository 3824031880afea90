r"""Turn a Hugging Face checkpoint into a verified, quantized bundle.

The graph is compared with PyTorch before anything is written, and the bundle appears whole or not
at all.

examples:
  leanbert export ProsusAI/finbert -o finbert-int8
  leanbert export ProsusAI/finbert --revision main --recipe fp32 -o finbert-fp32
  leanbert export ProsusAI/finbert -o finbert-int8 --force \
      --calibration news.csv --label-column sentiment --max-drop 0.5
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from leanbert.cli.flags import add_reading_flags, read_options
from leanbert.cli.progress import Progress
from leanbert.errors import MissingExtraError
from leanbert_export.checkpoint.heads import HEADS, TASK_NAMES
from leanbert_export.recipe import RECIPES

if TYPE_CHECKING:
    from leanbert_export.exporting import Report

_MATMULS = ("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMul")
_NEEDS = ("torch", "transformers", "onnx", "onnx_ir", "safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert export``."""
    parser.add_argument("model", metavar="CHECKPOINT", help="a directory, or an id of the hub")
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="the bundle to write")
    add("--force", action="store_true", help="replace a bundle; write one that fails its gate")
    add("--json", action="store_true", help="show the card as one JSON object")
    add = parser.add_argument_group("model").add_argument
    add("--revision", metavar="REV", help="branch, tag or commit on the hub")
    add("--task", choices=TASK_NAMES, metavar="TASK", help="default: what the head is for")
    add(
        "--recipe", choices=RECIPES, default="int8", metavar="NAME",
        help="int8 (default), fp32, or int8-per-tensor",
    )  # fmt: skip
    add("--reduce-range", action="store_true", help="7-bit weights, for x86 CPUs without VNNI")
    add("--allow-pickle", action="store_true", help="accept pytorch_model.bin (refused by default)")
    group = parser.add_argument_group("calibration")
    group.add_argument(
        "--calibration", type=Path, metavar="FILE",
        help="texts: two thirds calibrate, one third judges",
    )  # fmt: skip
    group.add_argument(
        "--max-drop", type=float, metavar="POINTS",
        help="of accuracy, without labels of agreement (1)",
    )  # fmt: skip
    group.add_argument(
        "--tie-margin", type=float, metavar="P", default=0.0,
        help="probability within which ties do not count",
    )  # fmt: skip
    add_reading_flags(group, labels=True)


def run(args: argparse.Namespace) -> int:
    """Export, and print the card.

    Raises:
        MissingExtraError: the packages of the extra ``export`` are not installed.
    """
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"leanbert export needs {', '.join(missing)}; install with: "
            "pip install 'leanbert[export]'"
        )
    with Progress(None, "%") as progress:
        progress.step("loading PyTorch")
        from leanbert_export.exporting import SHARES, export

        progress.total = sum(SHARES.values())
        begun = ""

        def on_step(name: str) -> None:
            nonlocal begun
            share = SHARES.get(name)
            if share is None:  # a detail of the step that is running
                progress.step(name)
                return
            progress.advance(SHARES.get(begun, 0))
            begun = name
            progress.step(f"{name} (about {share}% of the time)")

        max_drop = args.max_drop
        if max_drop is None and args.calibration is not None:
            max_drop = 1.0

        report = export(
            args.model,
            args.output,
            recipe=args.recipe,
            revision=args.revision,
            task=args.task,
            reduce_range=args.reduce_range,
            force=args.force,
            calibration=args.calibration,
            text_column=args.text_column,
            label_column=args.label_column,
            pair_column=args.text_pair_column,
            reading=read_options(args),
            allow_pickle=args.allow_pickle,
            max_drop=max_drop,
            tie_margin=args.tie_margin,
            on_step=on_step,
        )
    sys.stdout.write(_json(report) if args.json else _card(report))
    return 0


def _card(report: Report) -> str:
    before, after = report.checkpoint_bytes / 1e6, report.bundle_bytes / 1e6
    final, agrees = report.final, HEADS[report.checkpoint.task].agrees
    fused = ", ".join(
        f"{report.operators[name]} {name}"
        for name in ("MultiHeadAttention", "LayerNormalization", *_MATMULS)
        if name in report.operators
    )
    lines = [
        f"{report.path}",
        f"  task        {report.checkpoint.task}, {report.checkpoint.config.model_type}",
        f"  recipe      {report.recipe}",
        f"  size        {before:.1f} MB -> {after:.1f} MB",
        f"  operators   {fused}",
        f"  graph       {report.graph}",
        f"  fp32 graph  largest difference from PyTorch {report.fp32.max_output_difference:.2g}",
        f"  {report.recipe:<11} largest difference {final.max_difference:.3g}, mean "
        f"{final.mean_difference:.3g}"
        + ("" if final.agreement is None else f", same {agrees} {final.agreement:.2%}")
        + f" ({final.rows} texts{' held back' if report.gate else ''})",
        *_gate_lines(report),
        *(f"  {title:<11} {line}" for title, line in report.notes.items()),
        f"  native      {report.native}",
        f"  try it      {_try_it(report)}",
    ]
    return "\n".join(lines) + "\n"


def _try_it(report: Report) -> str:
    task = report.checkpoint.task
    if task == "text-classification":
        return f'leanbert predict -m {report.path} "a text"'
    if task == "feature-extraction":
        return f'leanbert predict -m {report.path} --json "a text"'
    return f'from leanbert import pipeline; pipeline("{task}", "{report.path}")'


def _gate_lines(report: Report) -> list[str]:
    gate = report.gate
    if gate is None:
        return []
    return [f"  calibration {report.calibration}", f"  gate        {gate.line}"]


def _json(report: Report) -> str:
    final = report.final
    card = {
        "path": str(report.path),
        "task": report.checkpoint.task,
        "recipe": report.recipe,
        "checkpoint_bytes": report.checkpoint_bytes,
        "bundle_bytes": report.bundle_bytes,
        "operators": report.operators,
        "fp32_max_output_difference": report.fp32.max_output_difference,
        "mean_difference": final.mean_difference,
        "max_difference": final.max_difference,
        "agreement": final.agreement,
        "rows": final.rows,
        "calibration": report.calibration,
        "gate": report.gate.as_dict() if report.gate else None,
        "graph": report.graph,
        "notes": dict(report.notes),
        "native": report.native,
    }
    return json.dumps(card) + "\n"
