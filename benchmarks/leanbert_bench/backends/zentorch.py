"""zentorch: AMD's kernels for PyTorch, by ``torch.compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from leanbert.cpu import isa_flags
from leanbert_bench.backends.pytorch import EagerFp32

if TYPE_CHECKING:
    from leanbert.bundle import ModelConfig


class ZenTorch(EagerFp32):
    """The module of the reference after ``torch.compile(backend="zentorch")``, in fp32."""

    name = "zentorch fp32"
    family = "zentorch"
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "zentorch")
    only_if_named = True
    seconds_to_load = 60.0  # it compiles at the first answers

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:  # noqa: ARG003 - it is about this CPU
        return None if "avx512f" in isa_flags() else "zentorch needs a CPU with AVX-512"

    @property
    def imports(self) -> tuple[str, ...]:
        return ("zentorch", *super().imports)

    def made(self) -> Any:
        """Compile; lengths vary, so shapes are dynamic from the start."""
        import torch
        import zentorch  # noqa: F401 - it registers its back end

        return torch.compile(super().made(), backend="zentorch", dynamic=True)
