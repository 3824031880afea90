"""Results: a JSON document with all numbers, and the Markdown table for people."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert import __version__
from leanbert.bundle import MANIFEST, file_sha256
from leanbert.cpu import allowed_cores, cpu_name, isa_flags
from leanbert.errors import InputError
from leanbert.files import whole_file
from leanbert_bench.statistics import estimate, paired_ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leanbert_bench.runner import Measurement
    from leanbert_bench.workload import Workload

__all__ = [
    "END",
    "START",
    "describe_bundle",
    "describe_machine",
    "installed",
    "make_document",
    "markdown",
    "read_document",
    "replace_section",
    "write_document",
]

FORMAT_VERSION = 1
START, END = "<!-- bench:start -->", "<!-- bench:end -->"

_PACKAGES = ("torch", "transformers", "optimum-onnx", "onnxruntime", "tokenizers", "numpy")
_COLUMNS = (
    "", "texts/s", "× PyTorch", "one text, ms", "× PyTorch", "load, s", "peak memory, MiB",
    "model, MB", "same label as PyTorch", "mean diff. of probability", "accuracy",
)  # fmt: skip

Json = dict[str, Any]


def describe_machine(packages: Sequence[str] = ()) -> Json:
    """The CPU, what this process may use of it, and the versions that matter, ``packages`` too."""
    versions = {"python": platform.python_version(), "leanbert": __version__}
    versions |= {name: found for name in (*_PACKAGES, *packages) if (found := installed(name))}
    return {
        "cpu": cpu_name(),
        "isa": list(isa_flags()),
        "allowed_cores": allowed_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": versions,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def installed(package: str) -> str | None:
    """The version of an installed distribution, read without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe_bundle(path: Path) -> Json:
    """A bundle's name and the digest of its manifest, ``None`` for a plain export."""
    manifest = path / MANIFEST
    digest = file_sha256(manifest) if manifest.is_file() else None
    return {"name": path.resolve().name, "manifest_sha256": digest}


def make_document(
    measurements: Sequence[Measurement],
    workload: Workload,
    *,
    machine: Json,
    bundles: Sequence[Json],
    settings: Json,
) -> Json:
    """All numbers of a run; the first measurement is the reference of the others.

    Args:
        measurements: what the runner found.
        workload: what was answered.
        machine: see :func:`describe_machine`, taken before the run.
        bundles: see :func:`describe_bundle`.
        settings: threads, turns and the size of the latency's sample.
    """
    reference = measurements[0]
    return {
        "format_version": FORMAT_VERSION,
        "machine": machine,
        "settings": settings,
        "data": {
            "name": workload.name,
            "sha256": workload.sha256,
            "rows_in_file": workload.rows,
            "rows": len(workload.texts),
        },
        "bundles": list(bundles),
        "rows": [_row(item, reference, workload.labels) for item in measurements],
    }


def _row(item: Measurement, reference: Measurement, labels: Sequence[str] | None) -> Json:
    row: Json = {"name": item.spec.name, "error": item.error}
    if item.error:
        return row
    row |= {
        "texts_per_s": asdict(estimate(item.texts_per_s)),
        "latency_ms": asdict(estimate(item.latency_ms)),
        "load_s": item.load_s,
        "peak_mib": item.peak_mib,
        "size_mb": item.size_bytes / 1e6 if item.size_bytes is not None else None,
    }
    if labels is not None:
        row["accuracy"] = _share(_best(item.answers), labels)
    if not reference.error:
        faster = paired_ratios(item.texts_per_s, reference.texts_per_s)
        sooner = paired_ratios(reference.latency_ms, item.latency_ms)
        row |= {
            "texts_per_s_ratio": asdict(estimate(faster)),
            "latency_ratio": asdict(estimate(sooner)),
        }
    if not reference.error and item is not reference:
        row |= {
            "agreement": _share(_best(item.answers), _best(reference.answers)),
            "mean_abs_difference": _mean_difference(item.answers, reference.answers),
        }
    return row


def _best(answers: Sequence[Mapping[str, float]]) -> list[str]:
    return [max(answer, key=lambda label: answer[label]) for answer in answers]


def _share(found: Sequence[str], expected: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(found, expected, strict=True)) / len(expected)


def _mean_difference(
    answers: Sequence[Mapping[str, float]], reference: Sequence[Mapping[str, float]]
) -> float:
    """Over all texts and labels; a label that one side does not know has probability 0 there."""
    differences = [
        abs(answer.get(label, 0.0) - expected.get(label, 0.0))
        for answer, expected in zip(answers, reference, strict=True)
        for label in {**answer, **expected}
    ]
    return sum(differences) / len(differences)


def markdown(document: Json) -> str:
    """The table and a caption that says how to read it.

    Raises:
        InputError: the document is malformed.
    """
    try:
        return _markdown(document)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"malformed benchmark results ({error!r}); run the bench again") from error


def _markdown(document: Json) -> str:
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


def write_document(path: Path, document: Json) -> None:
    """Write results as JSON; ``path`` holds the old file or the whole new one.

    Raises:
        OSError: the directory is missing or not writable.
    """
    with whole_file(path) as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")


def read_document(path: Path) -> Json:
    """Read what a run wrote.

    Raises:
        InputError: the file is missing, or not of this kind and version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: not a result of this version's leanbert bench run")
    return document


def replace_section(path: Path, text: str, start_mark: str = START, end_mark: str = END) -> None:
    """Replace what stands between the two markers of a file, or leave the file as it is.

    Raises:
        InputError: the file is missing, or does not have each marker once and in order.
    """
    try:
        content = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid UTF-8 ({error.reason})") from error
    before, start, rest = content.partition(start_mark)
    _, end, after = rest.partition(end_mark)
    if not start or not end or start_mark in rest or end_mark in before + after:
        raise InputError(
            f"{path}: needs the lines {start_mark} and {end_mark}, once each and in this order"
        )
    newline = "\r\n" if "\r\n" in content else "\n"
    middle = newline.join(["", *text.strip().splitlines(), ""])
    with whole_file(path) as file:
        file.write(before + start_mark + middle + end_mark + after)
