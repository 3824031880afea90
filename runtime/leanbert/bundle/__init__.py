"""Open and check a model directory: the only way from disk to a :class:`Bundle`."""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leanbert.bundle.config import ModelConfig, parse_config, read_json
from leanbert.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    SHORTEST,
    FileEntry,
    Golden,
    Manifest,
    parse_manifest,
    seal,
)
from leanbert.errors import BundleCorruptError, BundleNotFoundError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Bundle",
    "FileEntry",
    "Golden",
    "Manifest",
    "ModelConfig",
    "file_sha256",
    "seal",
]

# Where exports without a manifest keep their graph, the first found is taken: Optimum, and Optimum
# for transformers.js, whose folder holds the same model in several precisions.
_FOREIGN_GRAPHS = tuple(
    folder + name + ".onnx"
    for name in ("model", "model_quantized", "model_int8", "model_uint8", "model_optimized")
    for folder in ("", "onnx/")
)
_LARGE = 4 << 20  # bytes of a file whose hash is worth a thread: 2.5 ms
_WINDOW = 32 << 20  # bytes hashed at once: what is mapped stays in memory so long
_UNBOUNDED = 10**6  # transformers writes 1e30 for "no limit"


@dataclass(frozen=True)
class Bundle:
    """A model directory whose parts were found, and, where it has a manifest, checked."""

    path: Path
    model_path: Path
    tokenizer_path: Path
    config: ModelConfig
    max_length: int
    """Longest input in tokens, special tokens included."""
    manifest: Manifest | None
    """``None`` for a plain Optimum or transformers.js export: nothing was verified."""

    @property
    def task(self) -> str | None:
        """The task that the export was made for; ``None`` without a manifest."""
        return self.manifest.task if self.manifest else None

    @property
    def size(self) -> int:
        """Bytes of all files that belong to the bundle."""
        if self.manifest:
            own = (self.path / MANIFEST).stat().st_size
            return own + sum(entry.size for entry in self.manifest.files.values())
        graph = self.model_path
        # External data stands beside its graph: model.onnx.data, model.onnx_data, model.onnx_data_1
        data = [path for path in graph.parent.glob(graph.name + "*") if path.is_file()]
        return sum(path.stat().st_size for path in {*data, self.tokenizer_path})

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open the bundle at ``path`` and check every byte of it against its manifest.

        Also opens a plain export (``model.onnx`` or ``onnx/model*.onnx``, ``tokenizer.json`` and
        ``config.json``), of which nothing can be checked.

        Raises:
            BundleNotFoundError: the directory or a file of it is missing.
            BundleCorruptError: a file is not what the manifest says, or is malformed.
            BundleVersionError: the format is newer than this LeanBERT.
        """
        return cls._open(path, None)

    @classmethod
    @contextmanager
    def opened(cls, path: str | Path) -> Iterator[Bundle]:
        """As :meth:`open`, with the weights hashed while the block loads them.

        The hash is most of the time to load (BERT-base: 60 of 110 ms), and needs a core of its own
        only. Nothing computed may leave the block before it ends: only then are the weights known
        to be the manifest's, and if they are not, that is raised whatever else happened.

        Raises:
            BundleError: as :meth:`open`; at the end of the block for a large file's content.
        """
        later: list[tuple[Path, FileEntry]] = []
        bundle = cls._open(path, later)
        failures: list[Exception] = []

        def check() -> None:
            try:
                for file, entry in later:
                    _check_content(file, entry)
            except Exception as error:  # noqa: BLE001 - raised by the thread that waits
                failures.append(error)

        checking = threading.Thread(target=check, name="leanbert-check", daemon=True)
        checking.start()
        try:
            yield bundle
        finally:
            checking.join()
            if failures:
                raise failures[0]

    @classmethod
    def _open(cls, path: str | Path, later: list[tuple[Path, FileEntry]] | None) -> Bundle:
        root = Path(path)
        if not root.is_dir():
            what = "is not a directory" if root.exists() else "does not exist"
            raise BundleNotFoundError(
                f"{root}: {what}; give a bundle directory (leanbert export MODEL -o DIR makes one)"
            )
        manifest = parse_manifest(root / MANIFEST) if (root / MANIFEST).exists() else None
        if manifest:
            _check_files(root, manifest, later)
        graph = _find_graph(root, manifest)
        tokenizer, config_path = root / "tokenizer.json", root / "config.json"
        for part in (tokenizer, config_path):
            if not part.is_file():
                raise BundleNotFoundError(
                    f"{part}: missing; a bundle needs model.onnx, tokenizer.json and config.json"
                )
        config = parse_config(read_json(config_path), config_path)
        max_length = manifest.max_length if manifest else _foreign_max_length(root, config)
        return cls(root, graph, tokenizer, config, max_length, manifest)

    def check_num_labels(self, num_logits: int) -> None:
        """Refuse a config whose labels cannot be those of the graph.

        Raises:
            BundleCorruptError: ``id2label`` does not name exactly ``num_logits`` labels.
        """
        if num_logits != self.config.num_labels:
            raise BundleCorruptError(
                f"{self.path / 'config.json'}: id2label names {self.config.num_labels} labels "
                f"but {self.model_path.name} gives {num_logits} logits; "
                "take both from one checkpoint"
            )


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = path.stat().st_size
        for start in range(0, size, _WINDOW):
            # Mapped, not read: no copy, and other threads run through a whole window.
            length = min(_WINDOW, size - start)
            with mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ, offset=start) as part:
                digest.update(part)
    return digest.hexdigest()


def _check_files(
    root: Path, manifest: Manifest, later: list[tuple[Path, FileEntry]] | None
) -> None:
    """Check all but what is put off: the contents of large files, appended to ``later``."""
    home = root.resolve()
    for path in root.glob("model.onnx*"):
        if path.name not in manifest.files:
            raise BundleCorruptError(
                f"{path}: not listed in {MANIFEST}, so it cannot be trusted; remove it, "
                "or export the bundle again"
            )
    for name, entry in manifest.files.items():
        path = root / name
        if not path.is_file():
            raise BundleNotFoundError(f"{path}: missing from the bundle; export it again")
        if not path.resolve().is_relative_to(home):
            raise BundleCorruptError(f"{path}: a link out of the bundle; export it again")
        size = path.stat().st_size
        if size != entry.size:
            raise BundleCorruptError(
                f"{path}: {size:,} bytes instead of {entry.size:,} (truncated or replaced); "
                "copy or export the bundle again"
            )
        if later is not None and size > _LARGE:
            later.append((path, entry))
        else:
            _check_content(path, entry)


def _check_content(path: Path, entry: FileEntry) -> None:
    if file_sha256(path) != entry.sha256:
        raise BundleCorruptError(
            f"{path}: content differs from its sha256 in {MANIFEST}; "
            "copy or export the bundle again"
        )


def _find_graph(root: Path, manifest: Manifest | None) -> Path:
    if manifest:
        for required in ("model.onnx", "tokenizer.json", "config.json"):
            if required not in manifest.files:
                raise BundleCorruptError(
                    f"{root / MANIFEST}: does not list {required}; export the bundle again"
                )
        return root / "model.onnx"
    for name in _FOREIGN_GRAPHS:
        if (root / name).is_file():
            return root / name
    others = sorted(
        path.relative_to(root).as_posix()
        for folder in (root, root / "onnx")
        for path in folder.glob("*.onnx")
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


def _foreign_max_length(root: Path, config: ModelConfig) -> int:
    """The smaller of the tokenizer's and the model's bound, as transformers truncates."""
    bounds = [config.max_tokens] if config.max_tokens else []
    tokenizer_config = root / "tokenizer_config.json"
    if tokenizer_config.is_file():
        bound = read_json(tokenizer_config).get("model_max_length")
        if isinstance(bound, (int, float)) and 0 < bound < _UNBOUNDED:
            bounds.append(int(bound))
    return max(SHORTEST, min(bounds, default=512))
