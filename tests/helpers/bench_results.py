"""Seeded made-up ``results.json`` dictionaries: no numbers of any machine, only their shape."""

from __future__ import annotations

from random import Random
from typing import Any

Json = dict[str, Any]

SHAPES = {"1x8": 40.0, "1x32": 60.0, "1x128": 150.0, "1x512": 570.0, "8x32": 280.0, "8x128": 1100.0}
"""The reference's milliseconds."""

PEERS = {
    "pytorch-eager-fp32": ("PyTorch eager fp32", "pytorch", "fp32", 1.0),
    "pytorch-dynamic-int8": ("PyTorch dynamic int8", "pytorch", "int8", 0.35),
    "transformers-pipeline": ("transformers pipeline", "transformers", "fp32", 1.1),
    "optimum-fp32": ("Optimum ONNX Runtime fp32", "optimum", "fp32", 0.7),
    "optimum-int8": ("Optimum int8 (avx512_vnni preset)", "optimum", "int8", 0.27),
    "openvino-fp32": ("OpenVINO fp32", "openvino", "fp32", 0.6),
    "openvino-int8": ("OpenVINO int8 (NNCF static)", "openvino", "int8", 0.2),
    "ctranslate2-int8": ("CTranslate2 int8", "ctranslate2", "int8", 0.33),
    "leanbert-fp32": ("LeanBERT fp32", "leanbert", "fp32", 0.65),
    "leanbert-int8-onnxruntime": ("LeanBERT int8, ONNX Runtime", "leanbert", "int8", 0.23),
    "leanbert-int8-native": ("LeanBERT int8, native", "leanbert", "int8", 0.15),
}
LEAN = "leanbert-int8-native"
REFERENCE = "pytorch-eager-fp32"


def make(
    *,
    turns: int = 5,
    noise: float = 0.03,
    seed: int = 0,
    scale: float = 1.0,
    roof: bool = True,
    labels: bool = True,
    peers: list[str] | None = None,
) -> Json:
    """A whole run in which nothing went wrong.

    Args:
        turns: of each back end.
        noise: the relative deviation of a sample.
        seed: of the noise.
        scale: by which LeanBERT's native engine is slower than usual.
        roof: whether the machine's limit was measured.
        labels: whether the texts had labels.
        peers: the ids to measure; by default all.
    """
    random = Random(seed)  # noqa: S311 - noise, not a secret
    return {
        "schema_version": 1,
        "leanbert": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
        "command": "leanbert bench run --checkpoint finbert --output results",
        "complete": True,
        "seconds": 812.0,
        "machine": {
            "cpu": "Imaginary 9000 | two cores", "isa_flags": ["avx2", "avx512_vnni"],
            "cores_allowed": 2, "cores_host": 64, "quota": 2.0, "governor": None,
            "memory_bytes": 8 << 30, "system": "Linux x86_64", "python": "3.11.7",
        },
        "versions": {"torch": "2.13.0", "onnxruntime": "1.32.0"},
        "commit": "0123456789abcdef",
        "model": {
            "name": "finbert", "task": "text-classification", "random_weights": None,
            "labels": ["positive", "negative", "neutral"], "weights_sha256": "ab" * 32,
            "checkpoint_bytes": 438_000_000,
        },
        "settings": {
            "threads": 2, "turns": turns, "warmup": 3, "time_limit_s": 600, "quick": False,
            "grid": [[int(n) for n in shape.split("x")] for shape in SHAPES], "seed": 0,
            "reference": REFERENCE,
            "scenarios": ["SingleStream", "MultiStream", "Offline", "Server"],
        },
        "data": {
            "name": "sample", "sha256": "cd" * 32, "rows": 200, "labels": labels, "bundled": True,
            "median_tokens": 28, "p95_tokens": 57,
        },
        "roof": {
            "library": "oneDNN", "threads": 2, "int8_gops": [900.0, 925.0],
            "fp32_gflops": [230.0, 233.0], "bandwidth_gbs": [40.0, 42.0],
            "native_isa": "avx2", "native_gops": [350.0, 352.0],
        } if roof else None,
        "operations": {shape: operations(shape) for shape in SHAPES},
        "backends": [
            backend(name, turns=turns, noise=noise, random=random, scale=scale, labels=labels)
            for name in peers or PEERS
        ],
        "warnings": [],
    }  # fmt: skip


def operations(shape: str) -> Json:
    """BERT-base's: 170 million operations a token, and attention's by the square of the length."""
    batch, length = map(int, shape.split("x"))
    return {
        "linear": 170_000_000 * batch * length,
        "attention": 4 * 768 * 12 * batch * length * length,
        "weight_bytes_int8": 85_000_000,
        "weight_bytes_fp32": 340_000_000,
    }


def backend(
    identifier: str, *, turns: int, noise: float, random: Random, scale: float, labels: bool
) -> Json:
    """One that gave all there is."""
    name, family, precision, factor = PEERS[identifier]
    factor *= scale if identifier == LEAN else 1.0
    exact, lean = precision == "fp32", family == "leanbert"

    def samples(middle: float, count: int) -> list[float]:
        return [middle * random.lognormvariate(0, noise) for _ in range(count)]

    def each_turn(middle: float, count: int) -> list[list[float]]:
        return [samples(middle, count) for _ in range(turns)]

    found: Json = {
        "id": identifier, "name": name, "family": family, "precision": precision,
        "status": "ok", "reason": None, "install": None,
        "arrangement": "pipeline(list)", "threads_set": {"OMP_NUM_THREADS": 2}, "versions": {},
        "bundle": {"manifest_sha256": "ef" * 32, "recipe": precision} if lean else None,
        "model_bytes": 438_000_000 if exact else 110_000_000,
        "installed_bytes": 90_000_000 if lean else 1_400_000_000,
        "prepare_s": 12.0,
        "cold_start_s": samples(0.4 if lean else 4.0, 3),
        "load_s": samples(0.1, 3), "first_forward_s": samples(0.02, 3),
        "grid": {
            shape: {"forward_ms": each_turn(ms * factor, 9)} for shape, ms in SHAPES.items()
        },
        "scenarios": {
            "SingleStream": {"latency_ms": each_turn(62 * factor, 20)},
            "MultiStream": {"latency_ms": each_turn(300 * factor, 10), "samples_per_query": 8},
            "Offline": {
                "texts_per_s": samples(15 / factor, turns), "tokenization_s": samples(0.02, turns),
                "texts": 200,
            },
            "Server": {"bound_ms": 200.0, "attempts": [], "qps": samples(8 / factor, turns)},
        },
        "memory": {
            "peak_rss_mib": 180.0 if lean else 900.0,
            "rss_mib_after": {"1000": 170.0, "10000": 172.0 if lean else 1100.0},
        },
        "accuracy": {
            "rows": 200, "agreement": 1.0 if exact else 0.985,
            "mean_difference": 0.0 if exact else 0.0041,
            "max_difference": 1e-6 if exact else 0.21, "flips_count": 0 if exact else 3,
            "flips": [] if exact else [
                {"text": "Sales <fell> | a bit", "reference": "negative", "answer": "neutral",
                 "difference": 0.21},
            ],
        },
        "batch_invariance": {
            "rows": 200, "sorted": 0.0, "shuffled": 0.0 if lean else 0.01,
            "largest": 0.0 if lean else 0.01,
        },
    }  # fmt: skip
    if labels:
        found["accuracy"] |= {"accuracy": 0.86 if exact else 0.855, "macro_f1": 0.84, "ece": 0.03}
    return found


def broken(results: Json, identifier: str, status: str, reason: str, install: str = "") -> Json:
    """The results with one back end that gave nothing but its reason."""
    for i, item in enumerate(results["backends"]):
        if item["id"] == identifier:
            kept = {key: item[key] for key in ("id", "name", "family", "precision")}
            gone = {"status": status, "reason": reason, "install": install or None}
            results["backends"][i] = kept | gone
    return results


def with_troubles(**options: Any) -> Json:
    """One skipped, one failed, one that took too long."""
    results = make(**options)
    broken(results, "openvino-fp32", "skipped", "openvino is not installed",
           "pip install openvino nncf")  # fmt: skip
    broken(results, "ctranslate2-int8", "failed", "died: killed by SIGKILL")
    return broken(results, "optimum-int8", "timed_out", "no answer within 600 s")


def incomplete(**options: Any) -> Json:
    """As it is while a run goes on: the last back end has little, one has nothing yet."""
    results = make(**options)
    results["complete"] = False
    *_, last_but_one, last = results["backends"]
    for key in ("scenarios", "memory", "accuracy", "batch_invariance", "installed_bytes"):
        last_but_one.pop(key)
    last_but_one["grid"] = {"1x8": {"forward_ms": [[6.0, 6.1], []]}}
    for key in set(last) - {"id", "name", "family", "precision", "status"}:
        last.pop(key)
    results["roof"] = None
    results["operations"] = {}
    return results


VARIETY: dict[str, Json] = {
    "whole": make(),
    "troubles": with_troubles(),
    "incomplete": incomplete(),
    "one turn": make(turns=1),
    "no labels": make(labels=False),
    "no roof": make(roof=False),
    "no reference": broken(make(), REFERENCE, "failed", "out of memory"),
    "nothing": make(peers=["leanbert-int8-native"]) | {"backends": []},
}
"""Every kind that readers must get along with, by name. Shared: copy one to change it."""
