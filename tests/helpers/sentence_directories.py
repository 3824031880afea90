"""Directories of sentence-transformers, written here, and a plain reference of what they mean."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PACKAGE = "sentence_transformers.models"
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
Vectors = npt.NDArray[np.float64]


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def describe(
    folder: Path,
    pooling: Sequence[str] | Mapping[str, Any] = ("mean",),
    steps: Sequence[str] = ("2_Normalize",),
    first: str = "",
    transformer: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write the files of sentence-transformers into a folder with a model; return the folder.

    Args:
        folder: where the model lies, or has a folder of its own.
        pooling: the modes that are on, or the whole of its config.
        steps: the folders of the modules after it, named as the module is.
        first: the transformer's folder.
        transformer: the content of ``sentence_bert_config.json``.
        settings: the content of ``config_sentence_transformers.json``; ``None`` for no such file.
    """
    paths = (first, "1_Pooling", *steps)
    kinds = ("Transformer", "Pooling", *(name.partition("_")[2] for name in steps))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{PACKAGE}.{kind}"}
        for i, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    write_json(folder / "modules.json", modules)
    if not isinstance(pooling, Mapping):
        pooling = {flag: mode in pooling for mode, flag in FLAGS.items()}
    write_json(folder / "1_Pooling/config.json", pooling)
    write_json(folder / first / "sentence_bert_config.json", transformer or {})
    if settings is not None:
        write_json(folder / "config_sentence_transformers.json", settings)
    return folder


def write_dense(
    folder: Path, inputs: int, outputs: int, name: str = "Tanh", *, residual: bool = False
) -> dict[str, Vectors]:
    """Write a dense layer of seeded weights and return them by their names."""
    random = np.random.default_rng(inputs * 1000 + outputs)
    weights = {
        "linear.weight": random.normal(0, inputs**-0.5, (outputs, inputs)),
        "linear.bias": random.normal(0, 0.1, outputs),
    }
    config: dict[str, Any] = {"in_features": inputs, "out_features": outputs, "bias": True}
    config["activation_function"] = f"torch.nn.modules.activation.{name}"
    if residual:
        config["use_residual"] = True
        if inputs != outputs:
            weights["residual.weight"] = random.normal(0, inputs**-0.5, (outputs, inputs))
    write_json(folder / "config.json", config)
    write_tensors(folder / "model.safetensors", weights)
    return {name: value.astype(np.float32).astype(float) for name, value in weights.items()}


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a safetensors file of float32, byte by byte."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, value in tensors.items():
        data = np.ascontiguousarray(value, "<f4").tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def pooled(hidden: Vectors, mode: str, skipped: int = 0) -> Vectors:
    """One vector of a text's tokens, token after token, in double precision."""
    tokens = [(number, row) for number, row in enumerate(hidden, 1) if number > skipped]
    if mode == "cls":
        return np.array(tokens[0][1])
    if mode == "lasttoken":
        return np.array(tokens[-1][1])
    if mode == "max":
        return np.array([max(row[i] for _, row in tokens) for i in range(hidden.shape[1])])
    weight = (lambda number: number) if mode == "weightedmean" else (lambda number: 1)
    total = sum(weight(number) * row for number, row in tokens)
    count = sum(weight(number) for number, _ in tokens)
    return np.asarray(total / (count**0.5 if mode == "mean_sqrt_len_tokens" else count))


def dense(vector: Vectors, weights: Mapping[str, Vectors], name: str = "Tanh") -> Vectors:
    """A dense layer as torch has it, in double precision."""
    functions: dict[str, Callable[[Any], Any]] = {
        "Tanh": np.tanh,
        "Identity": lambda x: x,
        "ReLU": lambda x: np.maximum(x, 0),
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    }
    return np.asarray(functions[name](weights["linear.weight"] @ vector + weights["linear.bias"]))


def cosine(ours: Any, theirs: Any) -> float:
    """The cosine of two vectors."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    return float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))
