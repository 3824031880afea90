"""Write golden.json: what the tiny bundle must answer, by numpy beside ONNX Runtime.

PYTHONPATH=runtime:. python -m tests.runtime.pipelines.make_golden [FILE]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.helpers.tiny_bundles import LABELS, Tiny, probabilities

TEXTS = [
    "Operating profit rose to EUR 13.1 mn.",
    "Sales fell 4% in the second quarter",
    "The company said so in a report today.",
    "growth",
    "GROWTH",
    "net loss, higher debt and layoffs",
    "",
    "🚀 a record win 🚀",
    "Umsätze der Gruppe: 12,5 Mio.",
    "profit\tor loss?",
    "unknownword xyzzy",
    "the first order of the year was a gain for the group and the outlook is good",
]


def golden() -> list[dict[str, object]]:
    """Each text with its best label and the score of every label."""
    found: list[dict[str, object]] = []
    for text in TEXTS:
        scores = probabilities(Tiny(), text)
        best = max(zip(scores, LABELS, strict=True))[1]
        by_label = {label: round(s, 6) for label, s in zip(LABELS, scores, strict=True)}
        found.append({"text": text, "label": best, "scores": by_label})
    return found


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("golden.json")
    target.write_text(json.dumps(golden(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
