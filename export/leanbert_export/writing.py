"""Write a bundle, which appears whole or not at all, and seal it with its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from leanbert import __version__
from leanbert.bundle import MANIFEST, Bundle, Golden, file_sha256, seal
from leanbert.files import whole_directory
from leanbert_export.checkpoint.config_file import write_config
from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.checkpoint.sentence_transformers import write_modules
from leanbert_export.checkpoint.tokenizer import write_tokenizer
from leanbert_export.errors import ExportError, OutputExistsError
from leanbert_export.model_card import write_model_card
from leanbert_export.proof.golden import GoldenBounds


def check_output(output: Path, *, force: bool) -> None:
    """Refuse to overwrite what is at ``output``, before any work is done.

    With ``force``, a bundle or an empty directory may be replaced, and never anything else.

    Raises:
        OutputExistsError: something is there that must stay.
    """
    if not output.exists():
        return
    if not force:
        raise OutputExistsError(f"{output}: exists already; pass --force to replace it")
    if not output.is_dir() or (any(output.iterdir()) and not (output / MANIFEST).is_file()):
        raise OutputExistsError(
            f"{output}: is not a bundle, so --force does not replace it; choose another -o"
        )


@contextmanager
def new_directory(output: Path, *, force: bool) -> Iterator[Path]:
    """A new directory, which is renamed to ``output`` if the block ends well, and else removed.

    Raises:
        OutputExistsError: something that must stay is there.
        ExportError: the directory cannot be made.
    """
    try:
        with whole_directory(output, lambda: check_output(output, force=force)) as fresh:
            yield fresh
    except OSError as error:
        if error.filename == str(output):
            raise ExportError(f"{output}: cannot be made ({error.strerror})") from error
        raise


def write_parts(loaded: LoadedCheckpoint, folder: Path) -> None:
    """Write the config, the tokenizer's files, and those of sentence-transformers.

    Raises:
        CheckpointError: transformers cannot save the tokenizer, or a layer cannot be read.
    """
    write_config(loaded, folder)
    checkpoint = loaded.checkpoint
    write_tokenizer(loaded.tokenizer, checkpoint, folder)
    if checkpoint.modules is not None:
        write_modules(checkpoint.modules, checkpoint.layers, folder)


def manifest_content(
    checkpoint: Checkpoint,
    *,
    recipe: Mapping[str, Any],
    max_length: int,
    operators: Mapping[str, int],
    golden: Sequence[Golden],
    bounds: GoldenBounds,
    evidence: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The content of the manifest, without the list of files."""
    packages = ("torch", "transformers", "onnx", "onnx-ir", "onnxruntime", "tokenizers")
    return {
        "task": checkpoint.task,
        "source": {
            "model": checkpoint.model,
            "revision": checkpoint.revision,
            "weights_sha256": checkpoint.weights_sha256,
            "license": checkpoint.origin.license,
            "base_model": checkpoint.origin.base_model,
        },
        "recipe": dict(recipe),
        "max_length": max_length,
        "optimized": True,
        "operators": dict(operators),
        "golden": {**asdict(bounds), "texts": [_golden(item) for item in golden]},
        "evidence": list(evidence),
        "card": {},
        "versions": {"leanbert": __version__, **{p: metadata.version(p) for p in packages}},
    }


def _golden(item: Golden) -> dict[str, Any]:
    """The JSON of a golden answer, without the keys that its task has no use for."""
    unneeded = {"positions", "columns"}
    return {k: v for k, v in item._asdict().items() if v is not None or k not in unneeded}


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the model card, hash every file, and write the sealed manifest; old ones go."""
    write_model_card(folder, content)
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": file_sha256(path),
            "size": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    partial = folder / f".{MANIFEST}.partial"
    partial.write_bytes(seal({**content, "files": files}))
    partial.replace(folder / MANIFEST)


def amend_manifest(folder: Path, **changes: Any) -> None:
    """Replace keys of a bundle's manifest, for example its ``evidence`` or ``card``, and reseal.

    Raises:
        BundleError: the bundle does not pass its own checks as it stands.
    """
    Bundle.open(folder)
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for key in ("sha256", "format_version", "files"):
        del content[key]
    write_manifest(folder, {**content, **changes})
