"""Find a checkpoint, on disk or on the hub, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from leanbert.bundle import ModelConfig
from leanbert.bundle.config import parse_config
from leanbert.bundle.reading import read_json
from leanbert.bundle.sentence_transformers import MODULES, SentenceModules
from leanbert.errors import BundleError
from leanbert_export.checkpoint.architecture import check_architecture
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.readme import Origin, read_origin
from leanbert_export.checkpoint.sentence_transformers import find_layers, read_modules
from leanbert_export.checkpoint.weights import find_weights, hash_weights, refuse_pointers
from leanbert_export.errors import CheckpointError, first_line

__all__ = ["Checkpoint", "find_checkpoint"]

_NEEDED = ("*.json", "*.txt", "*.model", "README.md")
# In folders of their own are the modules of sentence-transformers, as in "2_Dense".
_SAFE = ("model*.safetensors", "[0-9]*_*/model*.safetensors")
_PICKLED = ("pytorch_model*.bin", "[0-9]*_*/pytorch_model*.bin")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in a local directory."""

    path: Path
    """Where its ``config.json`` and its weights lie."""
    model: str
    """As the user named it: a hub id, or the directory's name."""
    revision: str | None
    """The commit on the hub; ``None`` for a local directory."""
    task: str
    config: ModelConfig
    weights: Sequence[Path]
    """The files of the weights."""
    weights_sha256: str
    """Of the one file of weights; of the digests, joined in order, of several."""
    origin: Origin = field(default_factory=Origin)
    """What the README says."""
    modules: SentenceModules | None = None
    """What sentence-transformers does around the encoder, or around a cross-encoder."""
    layers: Mapping[str, Path] = field(default_factory=dict)
    """The weights of its layers, by the names that they get in the bundle."""

    @property
    def weights_bytes(self) -> int:
        """The size of all files of weights."""
        return sum(file.stat().st_size for file in self.weights)

    @property
    def num_layers(self) -> int:
        """Transformer layers, under any of the families' names for them."""
        raw: Mapping[str, Any] = self.config.raw
        for key in ("num_hidden_layers", "n_layers", "num_layers"):
            if isinstance(raw.get(key), int):
                return int(raw[key])
        raise CheckpointError(f"{self.path / 'config.json'}: does not say its number of layers")


def find_checkpoint(
    model: str, *, revision: str | None, task: str | None, allow_pickle: bool = False
) -> Checkpoint:
    """Locate ``model``, download it if it is a hub id, and find out its task.

    Code that comes with a checkpoint is never run.

    Args:
        model: a directory, or a hub id.
        revision: branch, tag or commit of a hub id.
        task: the task to export for; ``None`` for that of the checkpoint's own head.
        allow_pickle: whether pickled weights may be read, by torch's restricted unpickler.

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
    refuse_pointers(path, (*_NEEDED, *_SAFE, *_PICKLED))
    root = path
    if (root / MODULES).is_file() and not (root / "config.json").is_file():
        modules = read_modules(root, None)
        path = root / modules.folder if modules else root
    config_path = path / "config.json"
    if not config_path.is_file():
        raise CheckpointError(f"{path}: no config.json; give a directory with a checkpoint in it")
    try:
        config = parse_config(read_json(config_path), config_path)
    except BundleError as error:
        raise CheckpointError(str(error)) from error
    check_architecture(config.raw, config_path)
    weights = find_weights(path, allow_pickle=allow_pickle)
    task = task or _infer_task(config, config_path)
    modules = read_modules(root, task)
    return Checkpoint(
        path=path,
        model=name,
        revision=commit,
        task=task,
        config=config,
        weights=weights,
        weights_sha256=hash_weights(weights),
        origin=read_origin(root),
        modules=modules,
        layers=find_layers(root, modules, allow_pickle=allow_pickle),
    )


def _download(model: str, revision: str | None) -> tuple[Path, str | None]:
    from huggingface_hub import HfApi, snapshot_download

    try:
        try:
            files = HfApi().list_repo_files(model, revision=revision)
            safe = any(fnmatch(name, pattern) for name in files for pattern in _SAFE)
            weights: tuple[str, ...] = _SAFE if safe else _PICKLED
        except Exception as error:  # noqa: BLE001 - a transport of the hub's may raise any
            _reason(error, revision)  # offline: take what the cache has
            weights = (*_SAFE, *_PICKLED)
        path = Path(
            snapshot_download(model, revision=revision, allow_patterns=[*_NEEDED, *weights])
        )
    except Exception as error:
        raise CheckpointError(
            f"{model}: no such directory, and the hub did not give it ({_reason(error, revision)})"
        ) from error
    return path, path.name  # the cache names a snapshot by its commit


def _reason(error: Exception, revision: str | None) -> str:
    """Why the hub did not give something; an error of another kind is raised again.

    What reaches us where there is no network is an error of whichever transport the installed
    huggingface_hub uses.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from leanbert.bundle.hub.failures import explain

    if isinstance(error, HFValidationError):
        return "its models are named owner/name"
    if isinstance(error, (HfHubHTTPError, LocalEntryNotFoundError, OSError)):
        return first_line(error)
    failure = explain(error, revision)
    if failure is None:
        raise error
    return failure.reason


def _infer_task(config: ModelConfig, where: Path) -> str:
    if config.head_task is not None:
        return config.head_task
    said = config.raw.get("architectures")
    names = ", ".join(map(str, said)) if isinstance(said, list) else ""
    raise CheckpointError(
        f"{where}: architecture {names or 'not said'}; LeanBERT "
        f"exports heads for {', '.join(HEADS)} (choose one with --task)"
    )
