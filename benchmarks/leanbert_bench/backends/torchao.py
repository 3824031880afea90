"""torchao: int8 weights and one activation scale per token, compiled by ``torch.compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert_bench.backends.base import use_compiler_cache
from leanbert_bench.backends.pytorch import EagerFp32

if TYPE_CHECKING:
    from pathlib import Path

    from leanbert_bench.run.preparing import Preparation


class CompiledInt8(EagerFp32):
    """``quantize_`` with ``Int8DynamicActivationInt8WeightConfig``, then ``torch.compile``."""

    name = "torchao int8 compiled"
    family = "torchao"
    precision = "int8"
    requires = ("torch", "torchao", "transformers")
    seconds_to_load = 60.0  # it compiles at the first answers

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Check that there is a C++ compiler, which torch's compiler needs."""
        import shutil

        if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
            raise RuntimeError("torch.compile needs a C++ compiler, and there is none on PATH")
        return preparation.checkpoint

    @property
    def imports(self) -> tuple[str, ...]:
        return ("torchao.quantization", *super().imports)

    def made(self) -> Any:
        """Quantize and compile; lengths vary, so shapes are dynamic from the start."""
        from pathlib import Path

        import torch
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        use_compiler_cache(Path.home() / ".cache" / "leanbert" / "torchinductor")
        module = super().made()
        quantize_(module, Int8DynamicActivationInt8WeightConfig())
        return torch.compile(module, dynamic=True)

    def size(self) -> int:
        """Return the bytes of all quantized parameters and buffers; torchao quantizes at load."""
        import torch

        def stored(tensor: Any) -> int:
            if hasattr(tensor, "__tensor_flatten__") and type(tensor) is not torch.nn.Parameter:
                names, _ = tensor.__tensor_flatten__()
                return sum(stored(getattr(tensor, name)) for name in names)
            return int(tensor.numel() * tensor.element_size())

        return sum(stored(tensor) for tensor in self._model.state_dict().values())
