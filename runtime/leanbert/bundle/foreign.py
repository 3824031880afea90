"""Plain exports without a manifest: where Optimum and transformers.js keep their parts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from leanbert.bundle.config import ModelConfig
from leanbert.bundle.manifest import SHORTEST
from leanbert.bundle.reading import read_file, read_json, status
from leanbert.bundle.tokenizer_file import MOST_TOKENIZER_BYTES
from leanbert.bundle.values import brief
from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError

__all__ = ["external_data", "find_graph", "max_length", "read_beside", "sentence_length"]

# The first that is there is taken. The folder for transformers.js holds the same model in several
# precisions.
_GRAPHS = tuple(
    folder + name + ".onnx"
    for name in ("model", "model_quantized", "model_int8", "model_uint8", "model_optimized")
    for folder in ("", "onnx/")
)
_UNBOUNDED = 10**6  # transformers writes 1e30 for "no limit"
_DEFAULT_LENGTH = 512


def find_graph(root: Path) -> Path:
    """The graph of a plain export.

    Raises:
        BundleNotFoundError: there is none, or several and none has a known name.
    """
    for name in _GRAPHS:
        if (root / name).is_file():
            return root / name
    others = sorted(
        path.relative_to(root).as_posix()
        for folder in (root, root / "onnx")
        for path in folder.glob("*.onnx")
        if path.is_file()
    )
    if len(others) == 1:
        return root / others[0]
    if others:
        raise BundleNotFoundError(
            f"{root}: none of {', '.join(others)} is called model.onnx; rename the one to use"
        )
    raise BundleNotFoundError(
        f"{root}: no model.onnx or onnx/model.onnx; "
        "a PyTorch checkpoint becomes a bundle by: leanbert export MODEL -o DIR"
    )


def external_data(graph: Path) -> list[Path]:
    """The files beside ``graph`` that hold its weights, and itself.

    They are named after it: ``model.onnx.data``, ``model.onnx_data``, ``model.onnx_data_1``.
    """
    return sorted({path for path in graph.parent.glob(graph.name + "*") if path.is_file()})


def max_length(root: Path, config: ModelConfig, sentence_length: int | None) -> int:
    """The smallest bound in tokens of the tokenizer, the model and sentence-transformers.

    transformers and sentence-transformers truncate so.

    Raises:
        BundleCorruptError: ``tokenizer_config.json`` cannot be read, or says no number.
    """
    bounds = [bound for bound in (config.max_tokens, sentence_length) if bound]
    path = root / "tokenizer_config.json"
    if status(path) is not None:
        bound = read_json(path).get("model_max_length")
        if bound is not None:
            if not isinstance(bound, (int, float)) or isinstance(bound, bool) or not bound > 1:
                raise BundleCorruptError(
                    f"{path}: model_max_length is {brief(bound)}; expected a number of tokens"
                )
            if bound < _UNBOUNDED:
                bounds.append(int(bound))
    return max(SHORTEST, min(bounds, default=_DEFAULT_LENGTH))


def read_beside(root: Path, name: str) -> bytes | None:
    """The content of a JSON file in a directory; ``None`` where it is not there."""
    path = root / name
    return None if status(path) is None else read_file(path)


def sentence_length(root: Path) -> int | None:
    """Check what sentence-transformers says in a directory, and return its ``max_seq_length``.

    Raises:
        BundleError: a part of it would be dropped.
    """
    from leanbert.bundle.sentence_transformers import MODULES, read_modules

    if status(root / MODULES) is None:
        return None
    modules = read_modules(partial(read_beside, root), root)
    if modules is None:
        return None
    tokenizer = root / "tokenizer.json"
    if modules.lower_case and status(tokenizer) is not None:
        content = read_json(tokenizer, MOST_TOKENIZER_BYTES)
        if not _lowers(content.get("normalizer")):
            raise BundleError(
                f"{root}: sentence-transformers is to lower-case texts (do_lower_case), and "
                "tokenizer.json does not; export the checkpoint with: leanbert export"
            )
    return modules.max_seq_length


def _lowers(normalizer: object) -> bool:
    """Whether a normalizer of a ``tokenizer.json`` makes small letters of capitals."""
    if not isinstance(normalizer, Mapping):
        return False
    parts = normalizer.get("normalizers")
    return (
        normalizer.get("type") == "Lowercase"
        or normalizer.get("lowercase") is True
        or (isinstance(parts, list) and any(map(_lowers, parts)))
    )
