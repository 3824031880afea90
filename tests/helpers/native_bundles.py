"""Bundles for the native engine, made of random numbers, whose ONNX graph is another model's.

So an answer like the numpy encoder's shows that the native engine gave it, and one like the tiny
classifier's that ONNX Runtime did.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.helpers import tiny_bundles, tiny_words
from tests.helpers.native_library import Blob
from tests.helpers.native_models import Matmul, Model, Norm, random_model
from tests.helpers.native_reference import reference
from tests.helpers.tiny_bundles import Tiny

OUTPUT_WIDTH = 3


def model(task: str = "text-classification", **options: Any) -> Model:
    """A random encoder for the tiny tokenizer's vocabulary, with all that the table can say."""
    head: dict[str, Any] = {"head": "none"}
    if task == "text-classification":
        head = {"head": "first_token", "head_activation": "tanh", "head_dense": True, "query": True}
    return random_model(
        **{
            "seed": 5,
            "vocabulary": len(tiny_words.VOCABULARY),
            "positions": tiny_bundles.MAX_LENGTH,
            "smoothing": True,
            "query_bias": True,
            **head,
            **options,
        }
    )


def table(made: Model) -> tuple[dict[str, Any], bytes]:
    """The manifest's table, and the weights file that it describes."""
    blob = Blob()
    tensors: dict[str, Any] = {}

    def add(role: str, array: npt.NDArray[Any] | None) -> None:
        if array is None:
            return
        record = blob.tensor(array)
        tensors[role] = {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "offset": record.offset,
            "bytes": record.bytes,
        }

    def add_parts(role: str, parts: Matmul | Norm | None) -> None:
        for name, array in vars(parts).items() if parts is not None else ():
            add(f"{role}.{name}", array)

    for name in ("word", "word_scale", "position", "position_scale", "token_type"):
        add(f"embeddings.{name}", getattr(made, name))
    add_parts("embeddings.norm", made.embedding_norm)
    add_parts("embeddings.projection", made.projection)
    for i, layer in enumerate(made.layers):
        for name, parts in vars(layer).items():
            if isinstance(parts, Matmul | Norm):
                add_parts(f"layer.{i}.{name}", parts)
        add(f"layer.{i}.position_key.weight", layer.position_key)
        add(f"layer.{i}.position_query.weight", layer.position_query)
    add_parts("head.dense", made.head_dense)
    add_parts("head.norm", made.head_norm)
    add_parts("head.classifier", made.classifier)
    add_parts("final_norm", made.final_norm)
    for i, (cosines, sines) in enumerate(made.rotary, 1):
        add(f"rotary.{i}.cos", cosines)
        add(f"rotary.{i}.sin", sines)
    add("relative.bias", made.relative_bias)
    architecture = {
        "hidden_size": made.hidden,
        "num_attention_heads": made.heads,
        "intermediate_size": made.intermediate,
        "embedding_size": made.word.shape[1],
        "vocab_size": made.word.shape[0],
        "max_positions": made.positions,
        "position_offset": made.position_offset,
        "type_vocab_size": 0 if made.token_type is None else made.token_type.shape[0],
        "token_type_ids": made.token_type is not None,
        "num_layers": len(made.layers),
        "activation": made.activation,
        "layer_norm_eps": made.eps,
        "head": made.head,
        "head_activation": made.head_activation,
    }
    of_others = {
        "pre_norm": made.final_norm is not None,
        "gated": made.gated,
        "windows": [layer.window for layer in made.layers],
        "rotary": [layer.rotary for layer in made.layers],
        "relative_buckets": made.buckets,
    }
    used = {
        key: value
        for key, value in of_others.items()
        if (any(value) if isinstance(value, list) else value)
    }
    architecture |= used
    content = {
        "format": 2 if used else 1,
        "file": "model.onnx.data",
        "architecture": architecture,
        "tensors": tensors,
    }
    return content, bytes(blob.content)


def build(folder: Path, task: str = "text-classification", **options: Any) -> Path:
    """Write a bundle with a table; ``options`` are :func:`native_models.random_model`'s."""
    path = tiny_bundles.build(folder, Tiny(task=task))
    content, weights = table(model(task, **options))
    (path / "model.onnx.data").write_bytes(weights)
    tiny_bundles.reseal(path, {**tiny_bundles.read_content(path), "native": content})
    return path


def expected(task: str, text: str, pair: str | None = None) -> npt.NDArray[np.float64]:
    """The encoder's answer by numpy: logits ``(labels,)``, or ``(tokens, width)``."""
    made = tiny_words.tokenizer()
    made.enable_truncation(tiny_bundles.MAX_LENGTH)
    encoding = made.encode(text, pair)
    answer: npt.NDArray[np.float64] = reference(
        model(task), np.array(encoding.ids, np.int32), np.array(encoding.type_ids, np.int32)
    )
    return answer
