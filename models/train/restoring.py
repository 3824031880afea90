"""The fp32 weights of a BERT classifier from its int8 bundle: where training can start again.

The manifest's ``native`` table says where each weight lies. What the export folded away comes back
as zeros: the graph computes the same without the biases of key and value and of the second
feed-forward product, as they stand in other vectors by then.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from leanbert.bundle import MANIFEST

Floats = npt.NDArray[np.float32]


class _Table:
    """The tensors of one bundle, by role, as float32."""

    def __init__(self, folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        table = manifest.get("native") or {}
        if table.get("format") != 1:
            raise ValueError(f"{folder}: has no native table of format 1 to read weights by")
        self._tensors: dict[str, Any] = table["tensors"]
        self._bytes = np.memmap(folder / table["file"], dtype=np.uint8, mode="r")

    def vector(self, role: str, size: int) -> Floats:
        """The tensor, or ``size`` zeros where the graph has none."""
        found = self.find(role)
        return np.zeros(size, dtype=np.float32) if found is None else found

    def find(self, role: str) -> Floats | None:
        entry = self._tensors.get(role)
        if entry is None:
            return None
        part = self._bytes[entry["offset"] : entry["offset"] + entry["bytes"]].tobytes()
        array = np.frombuffer(part, dtype=np.dtype(entry["dtype"])).reshape(entry["shape"])
        result: Floats = array.astype(np.float32)
        return result

    def get(self, role: str) -> Floats:
        found = self.find(role)
        if found is None:
            raise ValueError(f"the bundle has no {role}")
        return found

    def product(self, role: str) -> Floats:
        """``(outputs, inputs)``: int8 values x the column's scale x the row's smoothing."""
        weight = self.get(f"{role}.weight")
        if (scale := self.find(f"{role}.scale")) is not None:
            weight = weight * scale[None, :]
        if (smoothing := self.find(f"{role}.smoothing")) is not None:
            weight = weight * smoothing[:, None]
        return np.ascontiguousarray(weight.T)

    def embedding(self, kind: str) -> Floats:
        scale = self.find(f"embeddings.{kind}_scale")
        table = self.get(f"embeddings.{kind}")
        return table if scale is None else table * scale[:, None]


def _layer(table: _Table, role: str, hidden: int, inner: int) -> dict[str, Floats]:
    joined = table.product(f"{role}.qkv")
    if len(joined) == 3 * hidden:
        query, key, value = np.split(joined, 3)
        bias = table.vector(f"{role}.qkv.bias", hidden)
    else:  # the last layer reads its query from the first token alone
        query, (key, value) = table.product(f"{role}.query"), np.split(joined, 2)
        bias = table.vector(f"{role}.query.bias", hidden)
    zeros = np.zeros(hidden, dtype=np.float32)
    found = {
        "attention.self.query.weight": query,
        "attention.self.query.bias": bias,
        "attention.self.key.weight": key,
        "attention.self.key.bias": zeros,
        "attention.self.value.weight": value,
        "attention.self.value.bias": zeros,
    }
    for part, name, size in (
        ("attention_output", "attention.output.dense", hidden),
        ("ffn_up", "intermediate.dense", inner),
        ("ffn_down", "output.dense", hidden),
    ):
        found[f"{name}.weight"] = table.product(f"{role}.{part}")
        found[f"{name}.bias"] = table.vector(f"{role}.{part}.bias", size)
    for part, name in (
        ("attention_norm", "attention.output.LayerNorm"),
        ("ffn_norm", "output.LayerNorm"),
    ):
        found[f"{name}.weight"] = table.get(f"{role}.{part}.gamma")
        found[f"{name}.bias"] = table.get(f"{role}.{part}.beta")
    return found


def restore(model: Any, bundle: Path) -> None:
    """Give ``model``, a ``BertForSequenceClassification`` of the same shape, the bundle's weights.

    Raises:
        ValueError: the bundle has no table, or another shape.
    """
    table = _Table(bundle)
    config = model.config
    found = {
        "bert.embeddings.word_embeddings.weight": table.embedding("word"),
        "bert.embeddings.position_embeddings.weight": table.embedding("position"),
        "bert.embeddings.token_type_embeddings.weight": table.embedding("token_type"),
        "bert.embeddings.LayerNorm.weight": table.get("embeddings.norm.gamma"),
        "bert.embeddings.LayerNorm.bias": table.get("embeddings.norm.beta"),
        "bert.pooler.dense.weight": table.product("head.dense"),
        "bert.pooler.dense.bias": table.get("head.dense.bias"),
        "classifier.weight": table.product("head.classifier"),
        "classifier.bias": table.get("head.classifier.bias"),
    }
    for i in range(config.num_hidden_layers):
        layer = _layer(table, f"layer.{i}", config.hidden_size, config.intermediate_size)
        found |= {f"bert.encoder.layer.{i}.{name}": array for name, array in layer.items()}
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in found:
            continue  # position_ids, which is no weight
        if found[name].shape != tuple(tensor.shape):
            raise ValueError(
                f"{bundle}: {name} is {found[name].shape}; expected {tuple(tensor.shape)}"
            )
        tensor.copy_(torch.from_numpy(found[name]))
