"""Plain exports without a manifest: where Optimum and transformers.js keep their parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from leanbert.bundle.config import ModelConfig
from leanbert.bundle.manifest import SHORTEST, is_plain
from leanbert.bundle.reading import read_file, read_json, status
from leanbert.bundle.tokenizer_file import MOST_TOKENIZER_BYTES
from leanbert.bundle.values import brief
from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError

__all__ = [
    "choose_graph",
    "external_data",
    "find_graph",
    "find_home",
    "max_length",
    "read_beside",
    "sentence_length",
]

_NAMES = tuple(
    f"{name}.onnx"
    for name in ("model", "model_quantized", "model_int8", "model_uint8", "model_optimized")
)
"""The first that is there is taken: the one that answers as PyTorch does, then those in int8."""
_FOLDERS = ("", "onnx")
"""Where Optimum and transformers.js keep graphs; the first goes first."""
_UNBOUNDED = 10**6  # transformers writes 1e30 for "no limit"
_DEFAULT_LENGTH = 512


def choose_graph(
    files: Iterable[str],
    where: object,
    *,
    file_name: str | None = None,
    subfolder: str | None = None,
) -> str:
    """Choose one of several ONNX files.

    Without further arguments it is the first that is there of ``model.onnx``,
    ``model_quantized.onnx``, ``model_int8.onnx``, ``model_uint8.onnx`` and
    ``model_optimized.onnx``, each at the top before ``onnx/``. Where only one ONNX file is in these
    two places, it may have any name.

    Args:
        files: all files of a directory or a repository, relative to it, with slashes.
        where: the directory or repository, for messages.
        file_name: the file's name as Optimum takes it, with or without its folder.
        subfolder: the folder that it must be in; ``""`` is the top.

    Raises:
        BundleNotFoundError: there is none, or several of which none has a known name.
    """
    graphs = sorted(file for file in files if file.endswith(".onnx"))
    if subfolder is not None:
        found = [file for file in graphs if _folder(file) == subfolder.strip("/")]
    elif file_name is not None:
        found = graphs
    else:
        found = [file for file in graphs if _folder(file) in _FOLDERS]
    if file_name is not None:
        exact = [file for file in found if file == file_name]
        found = exact or [file for file in found if _base(file) == file_name]
    known = [file for file in found if _base(file) in _NAMES]
    if not known and len(found) > 1 and file_name is not None:
        known = found  # the same name in several folders
    if known or len(found) == 1:
        return min(known or found, key=_rank)
    if found:
        raise BundleNotFoundError(
            f"{where}: none of {', '.join(found)} is called model.onnx; choose one by "
            "file_name=NAME"
        )
    asked = "/".join(filter(None, (subfolder, file_name))) or "model.onnx or onnx/model.onnx"
    if graphs:
        raise BundleNotFoundError(
            f"{where}: has no {asked}; its ONNX files are {', '.join(graphs)}: choose one by "
            "file_name=NAME and subfolder=NAME"
        )
    raise BundleNotFoundError(
        f"{where}: has no {asked}; "
        "a PyTorch checkpoint becomes a bundle by: leanbert export MODEL -o DIR"
    )


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _base(file: str) -> str:
    return file.rpartition("/")[2]


def _rank(file: str) -> tuple[int, int, str]:
    folder, base = _folder(file), _base(file)
    return (
        _NAMES.index(base) if base in _NAMES else len(_NAMES),
        _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS),
        file,
    )


def find_graph(root: Path, file_name: str | None = None, subfolder: str | None = None) -> Path:
    """The graph of a plain export: see :func:`choose_graph`.

    Raises:
        BundleNotFoundError: there is none, or several of which none has a known name.
    """
    folders = {*_FOLDERS, (subfolder or "").strip("/"), _folder(file_name or "")}
    graphs = [
        path.relative_to(root).as_posix()
        for folder in sorted(filter(_is_inside, folders))
        for path in (root / folder).glob("*.onnx")
        if path.is_file()
    ]
    return root / choose_graph(graphs, root, file_name=file_name, subfolder=subfolder)


def _is_inside(folder: str) -> bool:
    return not folder or is_plain(folder)


def find_home(root: Path, graph: Path) -> Path:
    """Where ``config.json`` and ``tokenizer.json`` are: in ``root``, else beside the graph.

    Raises:
        BundleNotFoundError: one is missing.
    """
    parts = ("tokenizer.json", "config.json")
    for home in (root, graph.parent):
        if all(status(home / part) is not None for part in parts):
            return home
    missing = next(part for part in parts if status(root / part) is None)
    raise BundleNotFoundError(
        f"{root / missing}: missing; a bundle needs model.onnx, tokenizer.json and config.json"
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
