"""Print LeanBERT's answers and its own verification as one line of JSON.

``check.py`` runs this file in each emulated CPU; it needs only what LeanBERT needs at run time.
"""

from __future__ import annotations

import ctypes
import json
import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from leanbert import pipeline
from leanbert.bundle import Bundle
from leanbert.engines import saturation
from leanbert.errors import LeanBertError
from leanbert.verification import verify

AS_STORED = "as-stored"
# Bits of AT_HWCAP (16) and AT_HWCAP2 (26) as the kernel's uapi/asm/hwcap.h for arm64 numbers them.
_ARM = {(16, 20): "asimddp", (16, 22): "sve", (26, 13): "i8mm", (26, 14): "bf16", (26, 23): "sme"}


def main(words: list[str]) -> None:
    """Arguments: the bundle, a file of texts (one per line), ``chosen`` or ``as-stored``."""
    path, texts_path, way = words
    probe = saturation.int8_matmuls()
    if way == AS_STORED:  # as if nobody had asked the CPU
        saturation.int8_matmuls = cache(lambda: saturation.Matmuls.INT8)
    texts = Path(texts_path).read_text(encoding="utf-8").splitlines()
    classify = pipeline("text-classification", Bundle.open(path), threads=1, engine="onnxruntime")
    answers = classify(texts, top_k=None, function_to_apply="none")
    found = {
        "machine": platform.machine(),
        "features": arm_features() if platform.machine() == "aarch64" else [],
        "python": platform.python_version(),
        "onnxruntime": metadata.version("onnxruntime"),
        "int8_saturates": probe is not saturation.Matmuls.INT8,
        "matmuls": classify.engine_report.matmuls,
        "logits": [{row["label"]: row["score"] for row in answer} for answer in answers],
        "verify": verified(path),
    }
    sys.stdout.write(json.dumps(found) + "\n")


def verified(path: str) -> dict[str, Any]:
    """Return what ``leanbert verify`` finds."""
    try:
        found = verify(path, threads=1, engine="onnxruntime")
    except LeanBertError as error:
        # The results may be published: they name the bundle, not where it lay.
        return {"passed": False, "error": str(error).replace(path, Path(path).name)}
    return {
        "passed": True,
        "golden_texts": found.golden_texts,
        "max_difference": found.max_difference,
        "mean_difference": found.mean_difference,
        "atol": found.atol,
        "mean_atol": found.mean_atol,
    }


def arm_features() -> list[str]:
    """Return the features that the kernel, or the emulator for it, announces of an Arm CPU."""
    getauxval = ctypes.CDLL(None).getauxval
    getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return [name for (kind, bit), name in _ARM.items() if getauxval(kind) >> bit & 1]


if __name__ == "__main__":
    main(sys.argv[1:])
