"""kjarni: embeddings of a safetensors checkpoint by a library written in Rust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from leanbert_bench.backends.base import checkpoint_bytes
from leanbert_bench.backends.text_only import TextOnlyBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert_bench.backends.base import Floats


class Kjarni(TextOnlyBackend):
    """``Embedder.encode_batch``; its threads are rayon's, which ``RAYON_NUM_THREADS`` counts."""

    name = "kjarni"
    family = "kjarni"
    requires: ClassVar[tuple[str, ...]] = ("kjarni",)
    only_if_named = True
    arrangement = "encode_batch(list), 256 texts in a call"

    _embedder: Any = None

    @property
    def imports(self) -> tuple[str, ...]:
        return ("kjarni",)

    def load(self) -> None:
        from ctypes import byref, c_void_p

        from kjarni import Embedder, _ffi

        # Its C interface opens a directory; its class in Python takes names of the hub alone.
        config = _ffi._lib.kjarni_embedder_config_default()
        config.model_path = str(self.model.path).encode()
        config.normalize = 0
        config.quiet = 1
        self._embedder = Embedder.__new__(Embedder)
        self._embedder._handle = c_void_p()
        _ffi.check_error(
            _ffi._lib.kjarni_embedder_new(byref(config), byref(self._embedder._handle))
        )

    def compute(self, texts: Sequence[str]) -> Floats:
        import numpy as np

        return np.asarray(self._embedder.encode_batch(texts), np.float32)

    def many(self, items: Sequence[Any]) -> object:
        return [self.compute(items[i : i + 256]) for i in range(0, len(items), 256)]

    def size(self) -> int:
        return checkpoint_bytes(self.model.path)
