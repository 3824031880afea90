"""The model card of a bundle: a ``README.md`` with the metadata that the hub reads at its head.

Everything on it stands in the manifest, too, so that it can be written anew whenever that is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leanbert.files import whole_file
from leanbert_export.checkpoint.readme import NOT_STATED

__all__ = ["CARD", "write_model_card"]

CARD = "README.md"

_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")  # a repository of the hub, or a licence
_METRICS = {
    "accuracy": ("accuracy", "accuracy"),
    "macro_f1": ("f1", "macro F1"),
    "agreement": ("agreement", "same answer as PyTorch fp32"),
    "mean_difference": ("mean_difference", "mean difference from PyTorch fp32"),
    "max_difference": ("max_difference", "largest difference from PyTorch fp32"),
}
"""What an item of evidence holds, as the hub's type of metric and for a person."""
_COMMON = ("accuracy", "f1")
"""The metrics that the hub knows."""


def write_model_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the card of the bundle in ``folder``, whole or not at all; it replaces an old one.

    Args:
        folder: of the bundle.
        content: of its manifest.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with whole_file(folder / CARD) as file:
        file.write(f"---\n{_metadata(content, config)}---\n\n{_text(content)}")


def _metadata(content: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The block of YAML that the hub reads."""
    import yaml

    source, card, recipe = content["source"], content["card"], content["recipe"]
    licences = _ids(source.get("license"))
    bases = [source["model"]] if source.get("revision") else _ids(source.get("base_model"))
    results = list(_results(content))
    names = {metric["type"] for result in results for metric in result["metrics"]}
    found: dict[str, Any] = {
        "library_name": "leanbert",
        "pipeline_tag": "text-ranking" if "ranking" in card else content["task"],
        "license": licences[0] if len(licences) == 1 else licences,
        "base_model": bases[0] if len(bases) == 1 else bases,
        "base_model_relation": "quantized" if bases and recipe["name"] != "fp32" else None,
        "tags": [
            *("leanbert", "onnx", recipe["name"], str(config.get("model_type"))),
            *(["sentence-transformers"] if {"embeddings", "ranking"} & set(card) else []),
        ],
        "metrics": [name for name in _COMMON if name in names],
    }
    kept = {name: value for name, value in found.items() if value}
    if results:
        kept["model-index"] = [{"name": source["model"], "results": results}]
    text: str = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100)
    return text


def _ids(names: object) -> list[str]:
    """The names that can be licences or repositories of the hub, of a list with commas."""
    if not isinstance(names, str) or names == NOT_STATED:
        return []
    parts = names.split(", ")
    return parts if all(_ID.fullmatch(part) for part in parts) else []


def _results(content: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The evidence as the hub's results, one for each data set."""
    gate = content["recipe"].get("gate") or {}
    for item in content["evidence"]:
        measured = item.get("int8")
        values = {**item, **(measured if isinstance(measured, Mapping) else {})}
        if gate.get("metric") == "accuracy":  # measured on the same texts as the evidence
            values.setdefault("accuracy", gate["int8"])
        metrics = [
            {"type": kind, "name": name, "value": float(f"{values[key]:.4g}")}
            for key, (kind, name) in _METRICS.items()
            if isinstance(values.get(key), (int, float))
        ]
        name = str(item.get("dataset"))
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if metrics:
            task = {"type": content["task"]}
            yield {"task": task, "dataset": {"name": name, "type": slug}, "metrics": metrics}


def _text(content: Mapping[str, Any]) -> str:
    source, recipe, task = content["source"], content["recipe"], content["task"]
    revision = f" at revision `{source['revision']}`" if source.get("revision") else ""
    task = "text-ranking" if "ranking" in content["card"] else task
    facts = {
        "task": content["task"],
        "recipe": recipe["name"],
        "longest input": f"{content['max_length']} tokens",
        "sha256 of the source's weights": source["weights_sha256"],
        **content["card"],
    }
    name = _line(source["model"])
    return f"""# {name}, {recipe["name"]}, for LeanBERT

This is `{name}`{revision}, exported by LeanBERT {content["versions"]["leanbert"]}.
It runs on CPUs, without PyTorch and transformers.

```python
from leanbert import pipeline  # pip install leanbert

model = pipeline("{task}", "DIRECTORY")  # of these files, or OWNER/NAME of their repository
```

`leanbert verify DIRECTORY` compares every file with its sha256 and recomputes
{len(content["golden"]["texts"])} answers of PyTorch. This page is one of these files: a bundle
whose card was edited is refused as changed.

## What it is

| | |
|---|---|
{_rows(facts)}

## What was measured

{_measured(content)}
"""


def _measured(content: Mapping[str, Any]) -> str:
    lines = ["| texts | rows | what | value |", "|---|---|---|---|"]
    rows = {item.get("dataset"): item.get("rows") for item in content["evidence"]}
    for result in _results(content):
        name = result["dataset"]["name"]
        lines += [
            f"| {_line(name)} | {rows.get(name)} | {metric['name']} | {metric['value']:.4g} |"
            for metric in result["metrics"]
        ]
    return "\n".join(lines)


def _rows(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"| {_line(name)} | {_line(value)} |" for name, value in facts.items())


def _line(value: object) -> str:
    """A value on one line of a table."""
    return " ".join(str(value).split()).replace("|", "\\|")
