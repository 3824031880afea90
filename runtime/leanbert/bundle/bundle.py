"""The way from a directory to a :class:`Bundle`: open it, and check what can be checked."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.aside import Aside
from leanbert.bundle.config import ModelConfig, parse_config
from leanbert.bundle.manifest import MANIFEST, FileEntry, Manifest, is_plain, parse_manifest
from leanbert.bundle.members import (
    Stamp,
    check_content,
    check_presence,
    check_unchanged,
    read_member,
)
from leanbert.bundle.reading import MOST_GRAPH_BYTES, MOST_JSON_BYTES, parse_json, status
from leanbert.bundle.tokenizer_file import MOST_TOKENIZER_BYTES, check_tokenizer
from leanbert.bundle.values import brief
from leanbert.errors import BundleCorruptError, BundleNotFoundError, InputError

if TYPE_CHECKING:
    from leanbert.bundle.sentence_transformers import SentenceModules

__all__ = ["Bundle"]

_LARGE = 4 << 20  # bytes of a file whose hash is worth a thread: 2.5 ms


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
    stamps: Mapping[Path, Stamp] = field(default_factory=dict, repr=False, compare=False)
    """What tells a change of each file that the manifest lists."""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        file_name: str | None = None,
        subfolder: str | None = None,
        hashed: Mapping[Stamp, str] | None = None,
    ) -> Bundle:
        """Open the bundle at ``path`` and check every byte of it against its manifest.

        Also opens a plain export (``model.onnx`` or ``onnx/model*.onnx``, ``tokenizer.json`` and
        ``config.json``), of which nothing can be checked.

        Args:
            path: the directory.
            file_name: the ONNX file of a plain export with several; without it
                :func:`leanbert.bundle.foreign.choose_graph` says which.
            subfolder: the folder of that file, or of a bundle, in the directory.
            hashed: the sha256 of files that were just hashed, by their stamps before that; a file
                that is unchanged since is not read again for it.

        Raises:
            BundleNotFoundError: the directory or a file of it is missing.
            BundleCorruptError: a file is not what the manifest says, or is malformed.
            BundleVersionError: the format is newer than this LeanBERT.
            InputError: ``file_name`` is given, and a bundle has another graph.
        """
        bundle, large = _open(Path(path), file_name, subfolder, hashed or {})
        for file, entry in large:
            check_content(file, entry)
        return bundle

    @classmethod
    @contextmanager
    def checked_while_loading(
        cls,
        path: str | Path,
        *,
        file_name: str | None = None,
        subfolder: str | None = None,
        hashed: Mapping[Stamp, str] | None = None,
    ) -> Iterator[Bundle]:
        """As :meth:`open`, but a thread hashes the large files while the block loads them.

        Hashing takes most of the time of loading (for BERT-base 60 of 110 ms) and one core. The
        block may load the weights, but nothing computed from them may leave it: only at its end
        are they known to be the manifest's. If they are not, the end of the block raises that,
        whatever else happened in it.

        Raises:
            BundleError: as :meth:`open`; at the end of the block for a large file's content.
        """
        bundle, large = _open(Path(path), file_name, subfolder, hashed or {})

        def check() -> None:
            for file, entry in large:
                check_content(file, entry)

        checking = Aside(check, "leanbert-check")
        try:
            yield bundle
        finally:
            checking.result()
            bundle.check_unchanged()  # what was loaded is what was hashed

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
        from leanbert.bundle.foreign import external_data

        files = [*external_data(self.model_path), self.tokenizer_path]
        return sum(path.stat().st_size for path in files)

    def graph_bytes(self) -> bytes:
        """The content of the ONNX file, without the weights that lie in others.

        Raises:
            BundleCorruptError: it is not the manifest's, or cannot be read.
        """
        entry = self.manifest.files[self.model_path.name] if self.manifest else None
        return read_member(self.model_path, entry, MOST_GRAPH_BYTES)

    def weights_path(self, location: str) -> Path:
        """Where the graph's weights lie.

        Args:
            location: the file as the graph names it, relative to the graph's folder.

        Raises:
            BundleCorruptError: the manifest does not list it, or it leaves the folder.
        """
        known = location in self.manifest.files if self.manifest else is_plain(location)
        if not known:
            raise BundleCorruptError(
                f"{self.model_path}: its weights shall be in {brief(location)}, which is no file "
                "of the bundle; export it again"
            )
        return self.model_path.parent / location

    def tokenizer_json(self) -> bytes:
        """The content of ``tokenizer.json``, checked before anything is built of it.

        Raises:
            BundleCorruptError: it is not the manifest's, is no tokenizer, or could take an
                unbounded time or memory.
        """
        entry = self.manifest.files["tokenizer.json"] if self.manifest else None
        data = read_member(self.tokenizer_path, entry, MOST_TOKENIZER_BYTES)
        check_tokenizer(data, self.tokenizer_path)
        return data

    def side_file(self, name: str) -> Mapping[str, Any]:
        """The JSON object in a file beside the tokenizer, if that file belongs to the bundle.

        Args:
            name: for example ``"tokenizer_config.json"``.

        Returns:
            Its keys; none if there is no such file, or if the manifest does not list it: what
            somebody laid into a sealed bundle later is not obeyed.

        Raises:
            BundleCorruptError: its content is not the manifest's, or is no JSON object.
        """
        data = self.content(name)
        return {} if data is None else parse_json(data, self.path / name)

    def content(self, name: str, most: int = MOST_JSON_BYTES) -> bytes | None:
        """The bytes of a file of the bundle, by its path in it.

        Args:
            name: for example ``"2_Dense/model.safetensors"``.
            most: bytes that such a file may have.

        Returns:
            ``None`` if there is no such file, or if the manifest does not list it.

        Raises:
            BundleCorruptError: its content is not the manifest's, or cannot be read.
        """
        path = self.path / name
        entry = self.manifest.files.get(name) if self.manifest else None
        if entry is None and (self.manifest or status(path) is None):
            return None
        return read_member(path, entry, most)

    def sentence_modules(self) -> SentenceModules | None:
        """What sentence-transformers does around the encoder; ``None`` where it says nothing.

        Raises:
            BundleError: a part of it would be dropped, or its files are malformed.
        """
        if self.manifest and "modules.json" not in self.manifest.files:
            return None
        from leanbert.bundle.sentence_transformers import read_modules  # few bundles have any

        return read_modules(self.content, self.path)

    def check_unchanged(self) -> None:
        """Refuse a bundle whose files were changed since it was opened, once they are loaded.

        Without a manifest nothing is known of the files, and nothing is checked.

        Raises:
            BundleCorruptError: a file was changed or replaced.
        """
        check_unchanged(self.stamps)

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


def _open(
    root: Path, file_name: str | None, subfolder: str | None, hashed: Mapping[Stamp, str]
) -> tuple[Bundle, list[tuple[Path, FileEntry]]]:
    """The bundle, all of it checked but the contents of the large files that are listed."""
    found = status(root)
    if found is None or not stat.S_ISDIR(found.st_mode):
        what = "does not exist" if found is None else "is not a directory"
        raise BundleNotFoundError(
            f"{root}: {what}; give a bundle directory (leanbert export MODEL -o DIR makes one), or "
            "owner/name of a repository on the hub"
        )
    home = root / subfolder if subfolder and is_plain(subfolder) else root
    if status(home / MANIFEST) is None:
        return _open_foreign(root, file_name, subfolder), []
    if file_name not in (None, "model.onnx"):
        raise InputError(
            f"file_name is {brief(file_name)}; the graph of a bundle is model.onnx: leave it out"
        )
    return _open_sealed(home, hashed)


def _open_sealed(
    root: Path, hashed: Mapping[Stamp, str]
) -> tuple[Bundle, list[tuple[Path, FileEntry]]]:
    """A bundle with a manifest."""
    manifest = parse_manifest(root / MANIFEST)
    stamps = check_presence(root, manifest.files)
    large: list[tuple[Path, FileEntry]] = []
    for name, entry in manifest.files.items():
        path = root / name
        if hashed.get(stamps[path]) == entry.sha256:  # of the hub, for example
            continue
        if entry.size > _LARGE:
            large.append((path, entry))
        else:
            check_content(path, entry)
    config = _read_config(root, manifest.files["config.json"])
    graph, tokenizer = root / "model.onnx", root / "tokenizer.json"
    return Bundle(root, graph, tokenizer, config, manifest.max_length, manifest, stamps), large


def _open_foreign(root: Path, file_name: str | None, subfolder: str | None) -> Bundle:
    """A plain export."""
    # Late: LeanBERT's own bundles do without these modules.
    from leanbert.bundle.foreign import find_graph, find_home, max_length, sentence_length

    graph = find_graph(root, file_name, subfolder)
    home = find_home(root, graph)
    longest_sentence = sentence_length(home)
    config = _read_config(home, None)
    longest = max_length(home, config, longest_sentence)
    return Bundle(home, graph, home / "tokenizer.json", config, longest, None)


def _read_config(root: Path, entry: FileEntry | None) -> ModelConfig:
    path = root / "config.json"
    return parse_config(parse_json(read_member(path, entry, MOST_JSON_BYTES), path), path)
