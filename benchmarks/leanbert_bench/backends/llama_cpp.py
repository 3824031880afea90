"""llama.cpp: a GGUF that its own converter makes, by llama-cpp-python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from leanbert_bench.backends.base import file_bytes
from leanbert_bench.backends.text_only import TextOnlyBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends.base import Floats
    from leanbert_bench.run.preparing import Preparation

CONVERTER = "LEANBERT_LLAMA_CPP"
"""The variable that names a checkout of llama.cpp, for its ``convert_hf_to_gguf.py``."""

_FAMILIES = frozenset({"bert", "roberta", "xlm-roberta", "nomic_bert"})
_GRAPH = "model.gguf"


class LlamaCppF16(TextOnlyBackend):
    """``Llama(embedding=True)`` with mean pooling, weights in F16."""

    name = "llama.cpp F16"
    family = "llama.cpp"
    precision = "fp16"
    requires: ClassVar[tuple[str, ...]] = ("llama-cpp-python",)
    makes_with = ("gguf", "torch", "transformers")
    only_if_named = True
    arrangement = "embed(list): as many texts in a batch as fit its 2,048 tokens"
    seconds_to_prepare = 20.0
    kind: ClassVar[str] = "f16"
    """Its converter's ``--outtype``."""

    _llama: Any = None

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:
        if config.model_type not in _FAMILIES:
            return f"llama.cpp has no encoder of {config.model_type}"
        if not (Path(os.environ.get(CONVERTER, "")) / "convert_hf_to_gguf.py").is_file():
            return f"needs llama.cpp's converter: let {CONVERTER} name a checkout of llama.cpp"
        return None

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            script = Path(os.environ[CONVERTER]) / "convert_hf_to_gguf.py"
            command = [sys.executable, str(script), str(preparation.checkpoint)]
            options = ["--outtype", cls.kind, "--outfile", str(folder / _GRAPH)]
            # It imports modules that stand beside it, which the workers' setting bars.
            variables = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
            done = subprocess.run(
                [*command, *options], check=False, capture_output=True, text=True, env=variables
            )
            if done.returncode:
                raise RuntimeError(f"the converter failed: {done.stderr.strip()[-300:]}")

        return preparation.once(f"llama-cpp-{cls.kind}", ("gguf", "llama-cpp-python"), make)

    @property
    def imports(self) -> tuple[str, ...]:
        return ("llama_cpp",)

    def load(self) -> None:
        import llama_cpp

        threads = self.model.threads
        self._llama = llama_cpp.Llama(
            str(self.model.path / _GRAPH),
            embedding=True,
            pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN,
            n_ctx=2048,
            n_batch=2048,
            n_ubatch=2048,  # an encoder computes a batch in one piece
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )
        self.threads_set = {"n_threads": threads, "n_threads_batch": threads}

    def compute(self, texts: Sequence[str]) -> Floats:
        import numpy as np

        return np.asarray(self._llama.embed(list(texts), normalize=False), np.float32)

    def size(self) -> int:
        return file_bytes([self.model.path / _GRAPH])


class LlamaCppQ8(LlamaCppF16):
    """The same with weights in Q8_0."""

    name = "llama.cpp Q8_0"
    precision = "int8"
    kind = "q8_0"
