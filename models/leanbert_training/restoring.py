"""Restore a PyTorch checkpoint from an int8 bundle, for the refining stage to start from.

The manifest's layout names the bytes of each weight (docs/bundles.md). A weight is its int8 value
times the scale of its output and the smoothing of its input, so the checkpoint computes what the
bundle computes, except that nothing rounds its activations.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from leanbert.bundle import Bundle
from leanbert_training.vocabulary import TOKENIZER_FILES

_DTYPES: Mapping[str, npt.DTypeLike] = {"int8": "i1", "float32": "<f4"}
Floats = npt.NDArray[np.float32]


class _Tensors:
    """The weights of one bundle by their role, in fp32."""

    def __init__(self, folder: Path, native: Mapping[str, Any]) -> None:
        self._content = (folder / native["file"]).read_bytes()
        self._entries: Mapping[str, Any] = native["tensors"]

    def __contains__(self, role: str) -> bool:
        return role in self._entries

    def read(self, role: str) -> Floats:
        """The tensor of a role, as it is stored."""
        entry = self._entries[role]
        part = self._content[entry["offset"] : entry["offset"] + entry["bytes"]]
        stored: npt.NDArray[Any] = np.frombuffer(part, dtype=_DTYPES[entry["dtype"]])
        found: Floats = stored.reshape(entry["shape"]).astype(np.float32)
        return found

    def matmul(self, role: str) -> Floats:
        """The weight of a matmul, *shape* ``(outputs, inputs)``."""
        weight = self.read(f"{role}.weight")  # (inputs, outputs)
        if f"{role}.scale" in self:
            weight = weight * self.read(f"{role}.scale")
        if f"{role}.smoothing" in self:
            weight = weight * self.read(f"{role}.smoothing")[:, None]
        found: Floats = weight.T
        return found

    def bias(self, role: str, outputs: int) -> Floats:
        """The bias of a matmul; 0 for the outputs that have none. *Shape:* ``(outputs,)``."""
        found = np.zeros(outputs, dtype=np.float32)
        if f"{role}.bias" in self:
            bias = self.read(f"{role}.bias")
            found[: len(bias)] = bias
        return found

    def embedding(self, role: str) -> Floats:
        """An embedding, *shape* ``(rows, width)``."""
        scale = f"{role}_scale"
        found = self.read(role)
        return found * self.read(scale)[:, None] if scale in self else found


def _parameters(tensors: _Tensors, config: BertConfig) -> dict[str, Floats]:
    """The parameters of ``BertForSequenceClassification`` by their names."""
    hidden, wide = config.hidden_size, config.intermediate_size
    found: dict[str, Floats] = {}

    def linear(name: str, weight: Floats, bias: Floats) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = weight, bias

    def norm(name: str, role: str) -> None:
        linear(name, tensors.read(f"{role}.gamma"), tensors.read(f"{role}.beta"))

    for kind in ("word", "position", "token_type"):
        found[f"bert.embeddings.{kind}_embeddings.weight"] = tensors.embedding(f"embeddings.{kind}")
    norm("bert.embeddings.LayerNorm", "embeddings.norm")
    for i in range(config.num_hidden_layers):
        role, name = f"layer.{i}", f"bert.encoder.layer.{i}"
        weight, bias = tensors.matmul(f"{role}.qkv"), tensors.bias(f"{role}.qkv", 3 * hidden)
        if f"{role}.query.weight" in tensors:  # the last layer asks for the first token alone
            weight = np.concatenate([tensors.matmul(f"{role}.query"), weight])
            bias = tensors.bias(f"{role}.query", 3 * hidden)
        for part, rows in zip(
            ("query", "key", "value"), np.split(np.arange(3 * hidden), 3), strict=True
        ):
            linear(f"{name}.attention.self.{part}", weight[rows], bias[rows])
        for short, long, outputs in (
            ("attention_output", "attention.output.dense", hidden),
            ("ffn_up", "intermediate.dense", wide),
            ("ffn_down", "output.dense", hidden),
        ):
            matmul = f"{role}.{short}"
            linear(f"{name}.{long}", tensors.matmul(matmul), tensors.bias(matmul, outputs))
        norm(f"{name}.attention.output.LayerNorm", f"{role}.attention_norm")
        norm(f"{name}.output.LayerNorm", f"{role}.ffn_norm")
    for role, name, outputs in (
        ("head.dense", "bert.pooler.dense", hidden),
        ("head.classifier", "classifier", config.num_labels),
    ):
        linear(name, tensors.matmul(role), tensors.bias(role, outputs))
    return found


def restore(bundle: Path, folder: Path, sha256: str) -> None:
    """Write the weights of a bundle into ``folder`` as a Hugging Face checkpoint.

    Args:
        bundle: the directory of a text classifier whose family is BERT.
        folder: an existing folder.
        sha256: the seal that the bundle's manifest must have, so that nobody refines another
            bundle by mistake.

    Raises:
        LeanBertError: the bundle does not pass its own checks.
        ValueError: the bundle is another one, or not a BERT that the native engine can compute.
    """
    Bundle.open(bundle)
    manifest = json.loads((bundle / "leanbert.json").read_text(encoding="utf-8"))
    if manifest["sha256"] != sha256:
        raise ValueError(f"{bundle} has the sha256 {manifest['sha256']}; expected {sha256}")
    config = BertConfig.from_pretrained(bundle)
    if config.model_type != "bert" or "native" not in manifest:
        raise ValueError(f"{bundle} has no layout of a BERT to restore weights from")
    parameters = _parameters(_Tensors(bundle, manifest["native"]), config)
    model: Any = AutoModelForSequenceClassification.from_config(config)
    model.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(p)) for name, p in parameters.items()}
    )
    model.save_pretrained(folder, safe_serialization=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(bundle / name, folder / name)
