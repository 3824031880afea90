"""Find a checkpoint, on disk or on the hub, and what it is for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanbert.bundle import ModelConfig, file_sha256
from leanbert.bundle.config import parse_config
from leanbert.bundle.reading import read_json
from leanbert.errors import BundleCorruptError
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.errors import CheckpointError, first_line

_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_NEEDED = ["*.json", "*.txt", "*.model"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in a local directory."""

    path: Path
    model: str
    """As the user named it: a hub id, or the directory's name."""
    revision: str | None
    """The commit on the hub; ``None`` for a local directory."""
    task: str
    config: ModelConfig
    weights_sha256: str
    """Of the one weights file; of the digests, joined in order, of several."""
    weights_bytes: int

    @property
    def num_layers(self) -> int:
        """Transformer layers, under any of the families' names for them."""
        raw: Mapping[str, Any] = self.config.raw
        for key in ("num_hidden_layers", "n_layers", "num_layers"):
            if isinstance(raw.get(key), int):
                return int(raw[key])
        raise CheckpointError(f"{self.path / 'config.json'}: does not say its number of layers")


def find_checkpoint(model: str, *, revision: str | None, task: str | None) -> Checkpoint:
    """Locate ``model``, downloading it if it is a hub id, and infer its task.

    Pickled weights are read by torch's restricted unpickler only; code that comes with a
    checkpoint is never run.

    Raises:
        CheckpointError: there is no such checkpoint, or it is incomplete or unsupported.
    """
    local = Path(model).expanduser()
    if local.exists():
        if revision is not None:
            raise CheckpointError(f"{local}: is a local directory; --revision is for hub ids")
        path, name, commit = local, local.resolve().name, None
    else:
        path, commit = _download(model, revision)
        name = model
    config_path = path / "config.json"
    if not config_path.is_file():
        raise CheckpointError(f"{path}: no config.json; give a directory with a checkpoint in it")
    try:
        config = parse_config(read_json(config_path), config_path)
    except BundleCorruptError as error:
        raise CheckpointError(str(error)) from error
    if config.raw.get("auto_map"):
        raise CheckpointError(f"{config_path}: needs its own code (auto_map), which is never run")
    weights = _find_weights(path)
    return Checkpoint(
        path=path,
        model=name,
        revision=commit,
        task=task or _infer_task(config, config_path),
        config=config,
        weights_sha256=_hash_weights(weights),
        weights_bytes=sum(file.stat().st_size for file in weights),
    )


def _download(model: str, revision: str | None) -> tuple[Path, str | None]:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        try:
            files = HfApi().list_repo_files(model, revision=revision)
            safe = any(name.endswith(".safetensors") for name in files)
            weights = ["model*.safetensors"] if safe else ["pytorch_model*.bin"]
        except (HfHubHTTPError, OSError):  # offline: take what the cache has
            weights = list(_WEIGHTS)
        path = Path(
            snapshot_download(model, revision=revision, allow_patterns=[*_NEEDED, *weights])
        )
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{model}: no such directory, and the hub did not give it ({first_line(error)})"
        ) from error
    return path, path.name  # the cache names a snapshot by its commit


def _infer_task(config: ModelConfig, where: Path) -> str:
    if config.head_task is not None:
        return config.head_task
    architectures = config.raw.get("architectures")
    named = ", ".join(map(str, architectures)) if isinstance(architectures, list) else "not said"
    raise CheckpointError(
        f"{where}: architecture {named or 'not said'}; LeanBERT "
        f"exports heads for {', '.join(HEADS)} (choose one with --task)"
    )


def _find_weights(path: Path) -> list[Path]:
    files = next((found for p in _WEIGHTS if (found := sorted(path.glob(p)))), [])
    if not files:
        raise CheckpointError(f"{path}: no model.safetensors (or pytorch_model.bin)")
    return files


def _hash_weights(files: list[Path]) -> str:
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()
