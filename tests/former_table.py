"""The README's table as it was made before ``results.json`` had ``schema_version`` 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

_COLUMNS = (
    "", "texts/s", "× PyTorch", "one text, ms", "× PyTorch", "load, s", "peak memory, MiB",
    "model, MB", "same label as PyTorch", "mean diff. of probability", "accuracy",
)  # fmt: skip


def markdown(document: Json) -> str:
    rows = [_cells(row) for row in document["rows"]]
    # A column that no row fills, as accuracy without labels, is left out.
    used = [i for i in range(len(_COLUMNS)) if i == 0 or any(row[i] for row in rows)]
    lines = [_line([_COLUMNS[i] for i in used]), _line(["---"] + ["--:"] * (len(used) - 1))]
    lines += [_line([row[i] or "–" for i in used]) for row in rows]
    notes = [
        f"{row['name']} gave no result: {row['error']}" for row in document["rows"] if row["error"]
    ]
    return "\n".join([*lines, "", _caption(document), *(f"\n{note}" for note in notes), ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(row: Json) -> list[str]:
    return [
        row["name"],
        _interval(row.get("texts_per_s"), 1),
        _number(_median(row.get("texts_per_s_ratio")), 2),
        _interval(row.get("latency_ms"), 2),
        _number(_median(row.get("latency_ratio")), 2),
        _number(row.get("load_s"), 2),
        _number(row.get("peak_mib"), 0),
        _number(row.get("size_mb"), 1),
        _percent(row.get("agreement")),
        _number(row.get("mean_abs_difference"), 4),
        _percent(row.get("accuracy")),
    ]


def _median(value: Json | None) -> float | None:
    return float(value["median"]) if value else None


def _interval(value: Json | None, digits: int) -> str:
    """A median and its interval; from 100 on one decimal fewer, it would be noise."""
    if not value:
        return ""
    digits -= value["median"] >= 100
    middle, low, high = (_number(value[key], digits) for key in ("median", "low", "high"))
    return f"{middle} [{low}, {high}]"


def _number(value: float | None, digits: int) -> str:
    return f"{value:,.{digits}f}" if value is not None else ""


def _percent(value: float | None) -> str:
    return f"{100 * value:.1f}%" if value is not None else ""


def _caption(document: Json) -> str:
    machine, settings, data = document["machine"], document["settings"], document["data"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    bundles = ", ".join(
        f"{bundle['name']} (manifest sha256 {bundle['manifest_sha256'][:12]})"
        if bundle["manifest_sha256"]
        else f"{bundle['name']} (a plain export without a manifest)"
        for bundle in document["bundles"]
    )
    rows = f"{data['rows']:,} texts"
    if data["rows"] != data["rows_in_file"]:
        rows += f" sampled from {data['rows_in_file']:,}"
    return (
        f"{machine['cpu']} ({', '.join(machine['isa']) or 'instruction sets unknown'}; "
        f"{machine['allowed_cores']} cores allowed), {settings['threads']} threads each, "
        f"{machine['date']}. Data: {data['name']}, {rows} in shuffled order. "
        f"Median of {settings['turns']} interleaved turns [bootstrap 95% interval], ratios paired "
        f"by turn; tokenization is included. One text: median over {settings['sample']} texts. "
        "Each pipeline is called as its documentation shows by default: transformers and Optimum "
        "with batch_size=1, LeanBERT with its own batching. Load: once, from a warm page cache, "
        "pipeline construction to first answer, imports not counted. Peak memory: of the whole "
        f"process. Bundles: {bundles}. Versions: {versions}."
    )
