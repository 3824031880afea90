"""How near the answers of two CPUs are, and the table that shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from leanbert.errors import InputError
from studies.emulated.guests import WHEELS

_HEAD = (
    "CPU (emulated)", "has", "int8 matmuls", "same label", "largest diff. of a logit",
    "of a probability", "`leanbert verify`: largest, mean distance from PyTorch",
)  # fmt: skip

Json = dict[str, Any]
Logits = Sequence[Mapping[str, float]]


def compare(found: Logits, native: Logits) -> Json:
    """Compare the logits of each text, by label, with those of the native run.

    Raises:
        InputError: the runs answered different texts or labels.
    """
    if len(found) != len(native) or any(
        set(a) != set(b) for a, b in zip(found, native, strict=False)
    ):
        raise InputError("the emulated and the native run answered different texts or labels")
    pairs = list(zip(found, native, strict=True))
    same = sum(best(a) == best(b) for a, b in pairs)
    chances = [(softmax(a), softmax(b)) for a, b in pairs]
    return {
        "same_label": same,
        "max_logit_difference": largest_difference(pairs),
        "max_probability_difference": largest_difference(chances),
    }


def best(logits: Mapping[str, float]) -> str:
    """Return the label with the largest logit."""
    return max(logits, key=lambda label: logits[label])


def softmax(logits: Mapping[str, float]) -> dict[str, float]:
    """Turn logits into probabilities."""
    top = max(logits.values())
    powers = {label: math.exp(value - top) for label, value in logits.items()}
    total = sum(powers.values())
    return {label: value / total for label, value in powers.items()}


def largest_difference(pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> float:
    """Return the largest absolute difference over all texts and labels."""
    return max((abs(a[label] - b[label]) for a, b in pairs for label in a), default=0.0)


def passed(results: Json) -> bool:
    """Tell whether the bundle ran and was verified on each CPU for which LeanBERT chose."""
    rows = [results["native"], *(row for row in results["rows"] if row["way"] == "chosen")]
    return all(row.get("verify", {}).get("passed") or row.get("skipped") for row in rows)


def markdown(results: Json) -> str:
    """Return the table, and a caption that says what was run.

    Raises:
        InputError: the results are malformed.
    """
    try:
        return _markdown(results)
    except (KeyError, TypeError) as error:
        raise InputError(f"malformed results ({error!r}); run the check again") from error


def _markdown(results: Json) -> str:
    native, texts, bundle = results["native"], results["texts"], results["bundle"]
    own = f"{results['machine']['cpu']}: {native['matmuls']}; verify: {_verified(native)}"
    rows = [row for row in results["rows"] if not row.get("skipped")]
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    lines += [_line(_cells(row, texts["rows"])) for row in rows]
    notes = [
        f"Not run: {row['machine']} {row['cpu']} ({row['skipped']})."
        for row in results["rows"]
        if row.get("skipped")
    ]
    qemu = ", ".join(sorted({row["qemu"] for row in rows}))
    versions = ", ".join(f"{name} {results['versions'][name]}" for name in WHEELS)
    caption = (
        f"qemu-user {qemu}; {versions}. Compared with the same run on the machine itself, not "
        f"emulated ({own}). Texts: {texts['name']}, {texts['rows']}. "
        f"Bundle: {bundle['name']} (manifest sha256 "
        f"{str(bundle['manifest_sha256'])[:12]}). {results['created'][:10]}."
    )
    return "\n".join([*lines, "", caption, *notes, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(row: Json, texts: int) -> list[str]:
    name = f"{row['machine']} {row['cpu']}"
    if row.get("error"):
        return [name, row["has"], f"failed: {row['error']}", *["–"] * 4]
    matmuls = row["matmuls"] if row["way"] == "chosen" else "int8 weights, **nothing done**"
    return [
        name,
        row["has"],
        matmuls,
        f"{row['same_label']}/{texts}",
        f"{row['max_logit_difference']:.2g}",
        f"{row['max_probability_difference']:.2g}",
        _verified(row),
    ]


def _verified(row: Json) -> str:
    found = row["verify"]
    if not found["passed"]:
        return "**fails**"
    return f"passes: {found['max_difference']:.4f}, {found['mean_difference']:.4f}"
