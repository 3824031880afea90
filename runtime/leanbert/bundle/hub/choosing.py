"""Which files of a repository are needed to open its model, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leanbert.bundle.foreign import choose_graph
from leanbert.bundle.graph_file import parse_graph
from leanbert.bundle.manifest import MANIFEST, is_plain, parse_manifest
from leanbert.bundle.reading import MOST_GRAPH_BYTES, read_file
from leanbert.bundle.values import WrongValueError, brief
from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError, InputError

__all__ = ["Parts", "collect"]

_NEEDED = ("config.json", "tokenizer.json")
_BESIDE = re.compile(
    r"tokenizer_config\.json|special_tokens_map\.json|modules\.json|sentence_[\w-]+_config\.json"
    r"|config_sentence_transformers\.json"
)
"""What LeanBERT reads beside the needed files, where it is there."""
_MODULE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors)")  # of sentence-transformers


@dataclass(frozen=True)
class Parts:
    """The files of one model in a repository."""

    folder: str
    """Where the model is in the repository; empty for the repository itself."""
    graph: str | None
    """The ONNX file of a plain export, relative to ``folder``; ``None`` for a bundle."""
    files: tuple[str, ...]
    """All of them, relative to ``folder``, each with slashes."""


def collect(
    name: str,
    listed: Collection[str],
    get: Callable[[str], Path],
    *,
    file_name: str | None = None,
    subfolder: str | None = None,
) -> Parts:
    """Find the files that are needed and get each of them.

    The small ones come first: where the graph is in the cache, so is what belongs to it.

    Args:
        name: the repository's, for messages.
        listed: the files of the repository, with slashes.
        get: gives a file's place on this machine, after it was fetched and checked.
        file_name: the ONNX file to take where there are several.
        subfolder: where in the repository it is.

    Raises:
        BundleNotFoundError: a file is missing.
        BundleError: the repository has no ONNX graph.
        BundleCorruptError: the manifest or the graph is malformed.
        InputError: ``file_name`` or ``subfolder`` cannot be used.
    """
    if subfolder and not is_plain(subfolder):
        raise InputError(f"subfolder is {brief(subfolder)}; expected a folder of the repository")
    folder = subfolder.strip("/") if subfolder else ""
    if _below(folder, MANIFEST) in listed:
        return _bundle(name, listed, get, folder, file_name)
    return _plain_export(name, listed, get, file_name, subfolder)


def _bundle(
    name: str,
    listed: Collection[str],
    get: Callable[[str], Path],
    folder: str,
    file_name: str | None,
) -> Parts:
    if file_name not in (None, "model.onnx"):
        raise InputError(
            f"file_name is {brief(file_name)}; {name} is a bundle, whose graph is model.onnx: "
            "leave it out"
        )
    manifest = parse_manifest(get(_below(folder, MANIFEST)))
    # config.json and the like before the weights
    files = sorted(manifest.files, key=lambda file: manifest.files[file].size)
    for file in files:
        if _below(folder, file) not in listed:
            raise BundleNotFoundError(f"{name}: has no {file}, which its {MANIFEST} lists")
        get(_below(folder, file))
    return Parts(folder, None, (MANIFEST, *files))


def _plain_export(
    name: str,
    listed: Collection[str],
    get: Callable[[str], Path],
    file_name: str | None,
    subfolder: str | None,
) -> Parts:
    if not any(file.endswith(".onnx") for file in listed):
        raise BundleError(
            f"{name}: has no ONNX graph; a PyTorch checkpoint becomes a bundle by: "
            f"leanbert export {name} -o DIR"
        )
    graph = choose_graph(listed, name, file_name=file_name, subfolder=subfolder)
    folder = str(PurePosixPath(graph).parent)
    homes = ("", folder) if folder != "." else ("",)
    home = next((h for h in homes if all(_below(h, file) in listed for file in _NEEDED)), None)
    if home is None:
        missing = [file for file in _NEEDED if file not in listed]
        raise BundleNotFoundError(
            f"{name}: has {graph}, but no {' and no '.join(missing)}; leanbert export {name} "
            "-o DIR makes a bundle of its checkpoint"
        )
    beside = _BESIDE
    if _below(home, "modules.json") in listed:
        beside = re.compile(f"{_BESIDE.pattern}|{_MODULE.pattern}")
    start = f"{home}/" if home else ""
    inside = sorted(file.removeprefix(start) for file in listed if file.startswith(start))
    files = [_below(home, file) for file in (*_NEEDED, *filter(beside.fullmatch, inside))]
    for file in files:
        get(file)
    for file in (graph, *_weights(name, graph, get(graph))):
        if file not in listed:
            raise BundleNotFoundError(f"{name}: has no {file}, where {graph} keeps its weights")
        get(file)
        files.append(file)
    return Parts("", graph, tuple(files))


def _weights(name: str, graph: str, path: Path) -> Iterator[str]:
    """The files that hold the graph's weights beside it."""
    try:
        external = parse_graph(read_file(path, MOST_GRAPH_BYTES)).external
    except WrongValueError as error:
        raise BundleCorruptError(f"{name}: {graph}: {error}; choose another file") from error
    for location in sorted({tensor.location for tensor in external}):
        if not is_plain(location):
            raise BundleCorruptError(
                f"{name}: {graph}: its weights shall be in {brief(location)}, which is no file "
                "beside it"
            )
        yield (PurePosixPath(graph).parent / location).as_posix()


def _below(folder: str, file: str) -> str:
    return f"{folder}/{file}" if folder else file
