"""Directories of sentence-transformers: what they say is followed, and goes into the bundle.

They are read by the runtime's own reader (:mod:`leanbert.bundle.sentence_transformers`), which
refuses what LeanBERT would drop. A bundle gets the same files, without what is nobody's business,
and the weights of the layers after the pooling as float32 safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from leanbert.bundle.foreign import read_beside
from leanbert.bundle.reading import read_json
from leanbert.bundle.sentence_transformers import (
    ACTIVATIONS,
    MODULES,
    SETTINGS,
    TRANSFORMER,
    SentenceModules,
    Step,
)
from leanbert.bundle.sentence_transformers import read_modules as read
from leanbert.errors import BundleError
from leanbert_export.checkpoint.weights import find_weights
from leanbert_export.errors import CheckpointError, first_line

__all__ = ["find_layers", "lower_case", "read_layer", "read_modules", "write_modules"]

_POOLING = "1_Pooling"
_CLASSES = "sentence_transformers.models"  # the name that every version understands


def read_modules(folder: Path, task: str | None) -> SentenceModules | None:
    """Read what stands around the encoder in a directory.

    Args:
        folder: with ``modules.json``, or without.
        task: what is exported: vectors, or the scores of a cross-encoder; ``None`` where that is
            not known yet.

    Returns:
        ``None`` if the directory is not of sentence-transformers, or says nothing of the task.

    Raises:
        CheckpointError: a file cannot be read, or asks for what LeanBERT does not do.
    """
    try:
        if task == "text-classification" and not _is_cross_encoder(folder):
            return None
        if task not in (None, "feature-extraction", "text-classification"):
            return None
        return read(partial(read_beside, folder), folder, own_folder=True)
    except BundleError as error:
        raise CheckpointError(str(error)) from error


def _is_cross_encoder(folder: Path) -> bool:
    path = folder / SETTINGS
    return path.is_file() and read_json(path).get("model_type") == "CrossEncoder"


def find_layers(
    folder: Path, modules: SentenceModules | None, *, allow_pickle: bool
) -> dict[str, Path]:
    """The file of each layer's weights, by the name that it gets in the bundle.

    Raises:
        CheckpointError: it is missing, or pickled and may not be.
    """
    steps = modules.steps if modules else ()
    return {
        step.weights: find_weights(folder / step.folder, allow_pickle=allow_pickle)[0]
        for step in steps
        if step.weights
    }


def lower_case(tokenizer: Any) -> None:
    """Let a fast tokenizer of transformers lower-case texts first, as ``do_lower_case`` asks."""
    from tokenizers import normalizers

    found = tokenizer.backend_tokenizer.normalizer
    parts = [normalizers.Lowercase(), *([] if found is None else [found])]
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(parts)


def write_modules(modules: SentenceModules, layers: Mapping[str, Path], folder: Path) -> None:
    """Write the files of sentence-transformers, and the layers' weights, to a bundle's folder.

    Raises:
        CheckpointError: the weights of a layer cannot be read.
    """
    chain = [("Transformer", "")]
    if modules.pooling:
        chain.append(("Pooling", _POOLING))
        pooling = {"pooling_mode": list(modules.pooling), "include_prompt": modules.include_prompt}
        _write(folder / _POOLING / "config.json", pooling)
    for step in modules.steps:
        chain.append((step.kind, step.folder))
        if step.weights:
            _write(folder / step.folder / "config.json", _settings(step))
            _write_layer(layers[step.weights], folder / step.weights)
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"{_CLASSES}.{kind}"}
        for i, (kind, path) in enumerate(chain)
    ]
    _write(folder / MODULES, listed)
    # Lower case has become a part of tokenizer.json.
    transformer = {"max_seq_length": modules.max_seq_length, "do_lower_case": False}
    _write(folder / TRANSFORMER, transformer)
    names = ("default_prompt_name", "similarity_fn_name", "truncate_dim", "activation_fn")
    said = {name: getattr(modules, name) for name in names}
    kept = {name: value for name, value in said.items() if value is not None}
    kind = "SentenceTransformer" if modules.pooling else "CrossEncoder"
    _write(folder / SETTINGS, {"model_type": kind, "prompts": dict(modules.prompts), **kept})


def _settings(step: Step) -> dict[str, Any]:
    if step.kind != "Dense":
        return {}
    name = next(name for name, ours in ACTIVATIONS.items() if ours == step.activation)
    return {"activation_function": f"torch.nn.{name}", "use_residual": step.residual}


def read_layer(source: Path) -> dict[str, Any]:
    """The tensors of a layer's weights by their names, in float32.

    Raises:
        CheckpointError: the file cannot be read.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if source.suffix == ".safetensors":
            tensors = load_file(source)
        else:
            tensors = torch.load(source, map_location="cpu", weights_only=True)
        return {name: value.to(torch.float32).contiguous() for name, value in tensors.items()}
    except Exception as error:  # what torch and safetensors raise has no common base
        raise CheckpointError(f"{source}: cannot be read ({first_line(error)})") from error


def _write_layer(source: Path, target: Path) -> None:
    from safetensors.torch import save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(read_layer(source), target)


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")
