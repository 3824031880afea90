"""Show the card of a bundle: what it is, how it was made, and what was measured.

examples:
  leanbert info
  leanbert info finbert-int8 --json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.engines import report_engine
from leanbert.pipelines import embedded_bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert info``."""
    parser.add_argument(
        "bundle", nargs="?", type=Path, metavar="DIR", help="default: the embedded model"
    )
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the card."""
    bundle = Bundle.open(args.bundle or embedded_bundle())
    card = _card(bundle)
    if args.json:
        sys.stdout.write(json.dumps(card, ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(card)) + "\n")
    return 0


def _card(bundle: Bundle) -> dict[str, Any]:
    config, manifest = bundle.config, bundle.manifest
    report = report_engine(bundle)
    card: dict[str, Any] = {
        "path": str(bundle.path),
        "task": bundle.task,
        "model_type": config.model_type,
        "labels": {str(i): label for i, label in config.id2label.items()},
        "problem_type": config.problem_type,
        "max_length": bundle.max_length,
        "size_mb": round(bundle.size / 1e6, 2),
        "verified": manifest is not None,
        "engine": report.engine,
        "matmuls": report.matmuls,
        "no_native_engine": report.why_not_native,
    }
    if manifest:
        card |= {
            "source": dict(manifest.source),
            "recipe": dict(manifest.recipe),
            "operators": dict(manifest.operators),
            "golden_texts": len(manifest.golden),
            "atol": manifest.atol,
            "mean_atol": manifest.mean_atol,
            "evidence": [dict(item) for item in manifest.evidence],
            "card": dict(manifest.card),
            "versions": dict(manifest.versions),
        }
    return card


def _lines(card: dict[str, Any]) -> list[str]:
    lines = [f"{card['path']}"]

    def row(name: str, value: object) -> None:
        lines.append(f"  {name:<13} {value}")

    row("task", card["task"] or "not said")
    row("model", f"{card['model_type']}, up to {card['max_length']} tokens")
    if card["task"] != "feature-extraction":
        row("labels", _labels(card["labels"]))
    row("size", f"{card['size_mb']} MB")
    reason = card["no_native_engine"]
    row("engine here", card["engine"] + (f" (not native: {reason})" if reason else ""))
    row("matmuls here", card["matmuls"])
    if not card["verified"]:
        row("verified", "no: there is no leanbert.json (leanbert export makes verified bundles)")
        return lines
    source = card["source"]
    revision = f" @ {source['revision']}" if source.get("revision") else ""
    row("source", f"{source.get('model')}{revision}")
    for i, line in enumerate(_recipe(card["recipe"])):
        row("" if i else "recipe", line)
    row("operators", ", ".join(f"{n} {name}" for name, n in card["operators"].items()))
    row(
        "golden texts",
        f"{card['golden_texts']}; allowed distance from PyTorch fp32: largest "
        f"{card['atol']:.4g}, mean {card['mean_atol']:.4g}",
    )
    for name, value in card["card"].items():
        row(name, value)
    for item in card["evidence"]:
        lines += ["", f"  measured on {item.get('dataset')} ({item.get('rows')} texts)"]
        for name, value in item.items():
            if name not in {"dataset", "rows"}:
                row(f"  {name}", _plain(value))
    lines += ["", "  made with " + ", ".join(f"{n} {v}" for n, v in card["versions"].items())]
    return lines


def _labels(labels: dict[str, str]) -> str:
    """In the order of the model's logits; told where they have no names."""
    told = ", ".join(f"{i} {label}" for i, label in labels.items())
    named = len(labels) < 2 or any(label != f"LABEL_{i}" for i, label in labels.items())
    return told if named else f"{told} (no names in the checkpoint's config)"


def _recipe(recipe: dict[str, Any]) -> list[str]:
    """The name, then a line a setting."""
    lines = [str(recipe.get("name", "?"))]
    for name, value in recipe.items():
        if name == "products" and isinstance(value, dict):
            lines.append(f"products: {_products(value)}")
        elif name not in {"name", "gate"}:  # the card tells of the gate
            lines.append(f"{name}: {value}")
    return lines


def _products(products: dict[str, object]) -> str:
    """How many are in int8; those that are not, by name."""
    kept = [name for name, plan in products.items() if plan == "fp32"]
    told = f"{len(products) - len(kept)} in int8"
    return f"{told}, in fp32 {', '.join(kept)}" if kept else told


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
