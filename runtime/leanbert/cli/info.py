"""Show the card of a bundle: what it is, how it was made, and what was measured.

examples:
  leanbert info
  leanbert info finbert-int8 --json
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import asdict
from itertools import starmap
from typing import Any

from leanbert.bundle import Bundle, ModelConfig
from leanbert.cli.cells import json_line
from leanbert.cli.flags import add_bundle_argument, located
from leanbert.cli.parser import WIDTH
from leanbert.cli.streams import require_stdout
from leanbert.engines import EngineReport, load_engine, report_engine
from leanbert.errors import EngineError, LeanBertError
from leanbert.shown import shown

_MOST_LABELS = 20
_WITHOUT_LABELS = {"feature-extraction", "fill-mask", "question-answering", "text-ranking"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert info``."""
    add_bundle_argument(parser)
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the card."""
    require_stdout("info has nowhere to print the card")
    path, choice = located(args)
    bundle = Bundle.open(path, **choice)
    card = _card(bundle)
    if args.json:
        sys.stdout.write(json_line(card, indent=1))
    else:
        sys.stdout.writelines(f"{shown(line)}\n" for line in _lines(card))
    return 0


def _card(bundle: Bundle) -> dict[str, Any]:
    config, manifest = bundle.config, bundle.manifest
    report, modules = _engine(bundle), bundle.sentence_modules()
    card: dict[str, Any] = {
        "path": str(bundle.path),
        "task": bundle.task,
        "head_task": config.head_task,
        "model_type": config.model_type,
        "labels": {str(i): label for i, label in config.id2label.items()},
        "labels_named": _named(config),
        "problem_type": config.problem_type,
        "max_length": bundle.max_length,
        "label2id": config.raw.get("label2id"),
        "sentence_transformers": {"line": modules.line, **asdict(modules)} if modules else None,
        "graph": bundle.model_path.relative_to(bundle.path).as_posix(),
        "output": None if manifest else _output(bundle),
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


def _engine(bundle: Bundle) -> EngineReport:
    """What computes the bundle here; nothing does without ONNX Runtime and the native engine."""
    try:
        return report_engine(bundle)
    except (ImportError, EngineError) as error:
        return EngineReport("none", f"unknown ({error})", None, None)


def _output(bundle: Bundle) -> str | None:
    """Which output of a plain export's graph is decoded where none has the name of its head."""
    from leanbert.engines.chosen import fitting_output
    from leanbert.pipelines import TASKS, pipeline_class

    task = bundle.config.head_task
    if task not in TASKS:
        return None
    try:
        engine = load_engine(bundle, 1)
    except (ImportError, LeanBertError):
        return None
    try:
        return fitting_output(engine, pipeline_class(task).required_outputs, bundle)
    finally:
        engine.close()


def _lines(card: dict[str, Any]) -> list[str]:
    lines = [f"{card['path']}"]

    def row(name: str, value: object) -> None:
        lines.append(_row(name, value))

    task = card["task"] or card["head_task"]
    by_head = "" if card["task"] or not task else " (by the checkpoint's head)"
    row("task", f"{task or 'not said by the files'}{by_head}")
    row("model", f"{card['model_type']}, up to {card['max_length']} tokens")
    if task not in _WITHOUT_LABELS:
        for i, line in enumerate(_labels(card)):
            row("" if i else "labels", line)
    row("size", f"{card['size_mb']} MB")
    reason = card["no_native_engine"]
    row("engine here", card["engine"] + (f" (not native: {reason})" if reason else ""))
    row("matmuls here", card["matmuls"])
    if not card["verified"]:
        why = "no: there is no leanbert.json (leanbert export makes verified bundles)"
        taken = {"output": f"{card['output']}, the only one that fits"} if card["output"] else {}
        rows = {"graph": card["graph"], **taken, **_modules(card), "verified": why}
        return [*lines, *starmap(_row, rows.items())]
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
    for name, value in {**card["card"], **_modules(card)}.items():
        row(name, value)
    for item in card["evidence"]:
        lines += ["", f"  measured on {item.get('dataset')} ({item.get('rows')} texts)"]
        for name, value in item.items():
            if name not in {"dataset", "rows"}:
                row(f"  {name}", _plain(_not_negative(name, value)))
    lines += ["", "  made with " + ", ".join(f"{n} {v}" for n, v in card["versions"].items())]
    return lines


def _row(name: str, value: object) -> str:
    return f"  {name:<13} {value}"


def _modules(card: dict[str, Any]) -> dict[str, str]:
    """The line on what sentence-transformers does around the encoder, if anything."""
    modules = card["sentence_transformers"]
    if not modules:
        return {}
    return {"embeddings" if modules["pooling"] else "ranking": modules["line"]}


def _named(config: ModelConfig) -> bool:
    """Whether the checkpoint names its labels; transformers' numbered ones are no names."""
    numbered = {f"LABEL_{i}" for i in range(config.num_labels)}
    return config.raw.get("id2label") is not None and set(config.id2label.values()) != numbered


def _labels(card: dict[str, Any]) -> list[str]:
    """Lines of labels in the order of the model's logits, a few if there are many."""
    labels = card["labels"]
    if not card["labels_named"]:
        return [f"{len(labels)}, without names in the checkpoint's config"]
    listed = [f"{i} {label}" for i, label in labels.items()]
    lines = textwrap.wrap(", ".join(listed[:_MOST_LABELS]), WIDTH - 16)
    if len(listed) > _MOST_LABELS:
        lines.append(f"... {len(listed)} in all; --json lists them")
    return lines


def _recipe(recipe: dict[str, Any]) -> list[str]:
    """The name, then a line a setting."""
    lines = [str(recipe.get("name", "?"))]
    for name, value in recipe.items():
        if name == "products" and isinstance(value, dict):
            lines.append(f"matmuls: {_matmuls(value)}")
        elif name not in {"name", "gate"}:  # the card has a line for the gate
            lines.append(f"{name}: {value}")
    return lines


def _matmuls(plans: dict[str, object]) -> str:
    """How many are in int8; those that are not, by name."""
    kept = [name for name, plan in plans.items() if plan == "fp32"]
    counted = f"{len(plans) - len(kept)} in int8"
    return f"{counted}, in fp32 {', '.join(kept)}" if kept else counted


def _not_negative(name: str, value: object) -> object:
    """A difference without the rounding that puts a cosine beyond 1."""
    if name.endswith("difference") and isinstance(value, float):
        return max(0.0, value)
    return value


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
