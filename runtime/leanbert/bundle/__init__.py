"""Open and check a model directory: the only way from disk to a :class:`Bundle`."""

from leanbert.bundle.bundle import Bundle
from leanbert.bundle.config import ModelConfig
from leanbert.bundle.manifest import FORMAT_VERSION, MANIFEST, FileEntry, Golden, Manifest, seal
from leanbert.bundle.reading import file_sha256

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
