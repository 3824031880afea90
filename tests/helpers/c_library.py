"""The C library (``leanbert.h``) through ctypes, and where its files are."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.native_library import library_path

__all__ = [
    "EMBEDDED",
    "EXAMPLES",
    "INCLUDE",
    "CLibraryError",
    "Entity",
    "Model",
    "c_library_path",
    "load_c_library",
    "tool",
]

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "runtime/native/include"
EXAMPLES = ROOT / "examples"
EMBEDDED = ROOT / "models/leanbert_models/financial_sentiment"

OK, INVALID_ARGUMENT, NOT_FOUND, CORRUPT, UNSUPPORTED, NO_MEMORY, FAILED = range(7)
AGGREGATIONS = ("none", "simple", "first", "average", "max")
POOLINGS = ("bundle", "mean", "cls", "max")
FUNCTIONS = ("bundle", "softmax", "sigmoid", "none")
MESSAGE_SIZE = 512


class CLibraryError(Exception):
    """A status other than LEANBERT_OK, with the library's line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(f"{status}: {line}")
        self.status = status
        self.line = line


class Options(ctypes.Structure):
    """Any of the structures of options: a size and numbers."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("first", ctypes.c_uint32),
        ("second", ctypes.c_uint32),
    )


class EntityRecord(ctypes.Structure):
    """``leanbert_entity``."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("score", ctypes.c_float),
        ("label", ctypes.c_char_p),
        ("begin", ctypes.c_size_t),
        ("end", ctypes.c_size_t),
        ("token", ctypes.c_size_t),
    )


@dataclass(frozen=True)
class Entity:
    """One of a text's entities; places are bytes."""

    label: str
    score: float
    begin: int
    end: int
    token: int


def c_library_path() -> Path:
    """Where the library is, beside the engine that CMake built; skips where it is not."""
    path = library_path().with_name("libleanbert.so")
    if not path.is_file():
        pytest.skip(f"the C library is not built: no {path}")
    return path


def tool(name: str) -> str:
    """A compiler, an interpreter or the like; the test is skipped without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not at hand")
    return found


def load_c_library() -> ctypes.CDLL:
    """The library with the types of its functions."""
    library = ctypes.CDLL(str(c_library_path()))
    size, pointer, line = ctypes.c_size_t, ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_size_t)
    texts = (size, pointer, pointer)
    library.leanbert_open.argtypes = [ctypes.c_char_p, pointer, pointer, *line]
    library.leanbert_close.argtypes = [pointer]
    library.leanbert_close.restype = None
    for name in ("leanbert_task", "leanbert_kernels"):
        getattr(library, name).argtypes = [pointer]
    library.leanbert_label.argtypes = [pointer, size]
    for name in ("leanbert_task", "leanbert_kernels", "leanbert_label", "leanbert_version"):
        getattr(library, name).restype = ctypes.c_char_p
    for name in ("leanbert_label_count", "leanbert_max_tokens"):
        getattr(library, name).argtypes = [pointer]
    library.leanbert_vector_size.argtypes = [pointer, pointer]
    library.leanbert_classify.argtypes = [pointer, pointer, *texts, pointer, size, pointer, *line]
    library.leanbert_embed.argtypes = library.leanbert_classify.argtypes
    library.leanbert_tag.argtypes = [pointer, pointer, *texts, pointer, pointer, *line]
    library.leanbert_tags_count.argtypes = [pointer, size]
    library.leanbert_tags_get.argtypes = [pointer, size, size, pointer]
    library.leanbert_tags_free.argtypes = [pointer]
    library.leanbert_tags_free.restype = None
    for name in ("label_count", "max_tokens", "vector_size", "tags_count"):
        getattr(library, f"leanbert_{name}").restype = size
    return library


class Model:
    """An open model.

    Args:
        directory: the bundle.
        threads: of one call.
        message_size: bytes for the library's line.

    Raises:
        CLibraryError: the library refuses it.
    """

    def __init__(
        self, directory: Path | str | bytes, threads: int = 0, message_size: int = MESSAGE_SIZE
    ) -> None:
        self.library = load_c_library()
        self.handle = ctypes.c_void_p()
        self._message_size = message_size
        path = directory if isinstance(directory, bytes) else str(directory).encode()
        options = Options(8, threads, 0)
        self._check("open", path, ctypes.byref(options), ctypes.byref(self.handle))
        assert self.handle

    def close(self) -> None:
        self.library.leanbert_close(self.handle)
        self.handle = ctypes.c_void_p()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def labels(self) -> list[str]:
        count = self.library.leanbert_label_count(self.handle)
        return [self.library.leanbert_label(self.handle, i).decode() for i in range(count)]

    def classify(
        self, texts: Sequence[str | bytes], function: str = "bundle", cut: Any = None
    ) -> npt.NDArray[np.float32]:
        """The scores of all labels. *Shape:* ``(texts, labels)``."""
        out = np.full((len(texts), len(self.labels)), np.nan, np.float32)
        options = Options(8, FUNCTIONS.index(function), 0)
        self._answer("classify", options, texts, out, cut)
        return out

    def embed(
        self, texts: Sequence[str | bytes], pooling: str = "bundle", *, normalize: bool = False
    ) -> npt.NDArray[np.float32]:
        """The vectors. *Shape:* ``(texts, size)``."""
        options = Options(12, POOLINGS.index(pooling), normalize)
        size = self.library.leanbert_vector_size(self.handle, ctypes.byref(options))
        out = np.full((len(texts), size), np.nan, np.float32)
        self._answer("embed", options, texts, out, None)
        return out

    def tag(self, texts: Sequence[str | bytes], aggregation: str = "none") -> list[list[Entity]]:
        """The entities of each text."""
        options = Options(8, AGGREGATIONS.index(aggregation), 0)
        tags = ctypes.c_void_p()
        given = _texts(texts)
        self._check(*("tag", self.handle, ctypes.byref(options), *given, ctypes.byref(tags), None))
        try:
            return [self._entities(tags, i) for i in range(len(texts))]
        finally:
            self.library.leanbert_tags_free(tags)

    def _entities(self, tags: ctypes.c_void_p, text: int) -> list[Entity]:
        found = []
        for i in range(self.library.leanbert_tags_count(tags, text)):
            record = EntityRecord(struct_size=ctypes.sizeof(EntityRecord))
            assert self.library.leanbert_tags_get(tags, text, i, ctypes.byref(record)) == OK
            label = record.label.decode()
            found.append(Entity(label, record.score, record.begin, record.end, record.token))
        return found

    def _answer(
        self, name: str, options: Options, texts: Sequence[str | bytes], out: Any, cut: Any
    ) -> None:
        given = _texts(texts)
        flags = None if cut is None else cut.ctypes.data
        place = out.ctypes.data
        self._check(name, self.handle, ctypes.byref(options), *given, place, out.size, flags)

    def _check(self, name: str, *arguments: Any) -> None:
        message = ctypes.create_string_buffer(b"?", self._message_size)
        function = getattr(self.library, f"leanbert_{name}")
        status = function(*arguments, message, self._message_size)
        line = message.value.decode()
        assert (status == OK) == (line == ""), (status, line)
        if status != OK:
            raise CLibraryError(status, line)


def _texts(texts: Sequence[str | bytes]) -> tuple[int, Any, Any]:
    """The count, the pointers and the sizes of some texts."""
    data = [text.encode() if isinstance(text, str) else text for text in texts]
    pointers = (ctypes.c_char_p * len(data))(*data)
    sizes = (ctypes.c_size_t * len(data))(*map(len, data))
    return len(data), pointers, sizes
