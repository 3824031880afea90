"""Find the weights of a checkpoint among its files, and read what their headers say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.bundle import file_sha256
from leanbert.bundle.reading import read_json
from leanbert.errors import BundleError
from leanbert_export.errors import CheckpointError, first_line

__all__ = ["Tensor", "find_weights", "hash_weights", "read_headers", "refuse_pointers"]

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model-*.bin")
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
# Older checkpoints keep these constants, which are computed anew.
_BUFFERS = ("position_ids", "token_type_ids")
_POINTER = b"version https://git-lfs.github.com/spec/"
_OTHERS = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "adapter_model.safetensors": "an adapter (PEFT)",
    "adapter_model.bin": "an adapter (PEFT)",
    "consolidated.safetensors": "another library",
}


@dataclass(frozen=True)
class Tensor:
    """What a file says of one tensor."""

    dtype: str
    """As safetensors names it, for example ``"F32"``."""
    shape: tuple[int, ...]
    file: Path


def find_weights(folder: Path, *, allow_pickle: bool = False) -> list[Path]:
    """The files that transformers would load the weights from.

    Args:
        folder: of the checkpoint.
        allow_pickle: whether pickled weights will do, where there are no others.

    Raises:
        CheckpointError: there are none, a shard is missing, or they are pickled and may not be.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        return _shards(folder)
    pickles = sorted(path for pattern in PICKLES for path in folder.glob(pattern))
    if pickles and allow_pickle:
        return pickles
    if pickles:
        raise CheckpointError(
            f"{folder}: its weights are pickled only ({pickles[0].name}), and a pickle can hold "
            "code; pass --allow-pickle to read it with torch's restricted unpickler, or convert it "
            f"in that directory: {_CONVERSION}"
        )
    others = sorted({kind for name, kind in _OTHERS.items() if (folder / name).is_file()})
    has = f" (it has weights for {', '.join(others)})" if others else ""
    raise CheckpointError(f"{folder}: no {SINGLE}{has}; save it with model.save_pretrained(…)")


# Tensors that are shared must be copied, since safetensors refuses them.
_CONVERSION = (
    'python -c "import glob, torch, safetensors.torch as s; w = {}; [w.update(torch.load(f, '
    "weights_only=True)) for f in glob.glob('pytorch_model*.bin')]; s.save_file({k: v.clone() "
    "for k, v in w.items()}, 'model.safetensors', {'format': 'pt'})\""
)


def _shards(folder: Path) -> list[Path]:
    names = sorted(set(_weight_map(folder).values()))
    for name in names:
        if "/" in name or "\\" in name or not (folder / name).is_file():
            raise CheckpointError(f"{folder}: {INDEX} names {name}, which is not there")
    return [folder / name for name in names]


def _weight_map(folder: Path) -> dict[str, str]:
    """The file of each tensor, as the index of shards says."""
    try:
        named = read_json(folder / INDEX).get("weight_map")
    except BundleError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(named, Mapping) or not named:
        raise CheckpointError(f"{folder / INDEX}: has no weight_map; download it again")
    return {str(tensor): str(file) for tensor, file in named.items()}


def hash_weights(files: Sequence[Path]) -> str:
    """The sha256 of the one file; of the digests, joined in order, of several."""
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()


def read_headers(files: Sequence[Path]) -> dict[str, Tensor]:
    """Each tensor by its name, without its values; empty for pickled weights.

    Raises:
        CheckpointError: a file is no safetensors file, is cut short, does not hold what the index
            says, or holds numbers that are not floating point, which PyTorch would take for
            weights.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, Tensor] = {}
    for path in files:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(path, framework="np") as file:
                for name in [*file.keys()]:
                    part = file.get_slice(name)
                    found[name] = Tensor(part.get_dtype(), tuple(part.get_shape()), path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path}: cannot be read ({first_line(error)}); download or save it again"
            ) from error
    if found and files[0].name != SINGLE:
        _check_index(files[0].parent, found)
    for name, tensor in found.items():
        if tensor.dtype not in _FLOATS and not name.endswith(_BUFFERS):
            raise CheckpointError(
                f"{tensor.file}: {name} is stored as {tensor.dtype}; LeanBERT exports checkpoints "
                "in floating point (F32, F16 or BF16), so take the one before it was quantized"
            )
    return found


def _check_index(folder: Path, found: Mapping[str, Tensor]) -> None:
    """Compare the shards with their index.

    Transformers believes the index, and makes up a tensor that its shard lacks.
    """
    index = _weight_map(folder)
    for name in sorted({*index, *found}):
        if name not in found or index.get(name) != found[name].file.name:
            raise CheckpointError(
                f"{folder}: {INDEX} and the files do not agree on {name}; download or save the "
                "checkpoint again"
            )


def refuse_pointers(folder: Path, patterns: Sequence[str]) -> None:
    """Refuse files that Git LFS has not fetched yet.

    Args:
        folder: of the checkpoint.
        patterns: the files that the export reads.

    Raises:
        CheckpointError: a file is a pointer to its content instead of the content.
    """
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        if path.is_file() and path.stat().st_size < 1024:
            with path.open("rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    raise CheckpointError(
                        f"{path}: is a Git LFS pointer and not the file itself; fetch it with: "
                        "git lfs pull"
                    )
