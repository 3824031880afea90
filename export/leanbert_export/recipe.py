"""The recipes that a user can choose, and every setting of the int8 one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECIPES = ("int8", "int8-per-tensor", "fp32")


@dataclass(frozen=True)
class Int8Settings:
    """Every setting of the int8 recipe; they go into the manifest."""

    weights_dtype: str = "QInt8"
    activations_dtype: str = "QUInt8"
    per_channel: bool = True
    per_token: bool = True
    """One activation scale per token; else one per tensor, as dynamic quantization usually has."""
    is_static: bool = False
    reduce_range: bool = False
    """Weights in 7 bits: for x86 CPUs without VNNI, where 8 bits saturate."""
    operators_to_quantize: Sequence[str] = ("MatMul", "Gemm", "Gather")

    @property
    def limit(self) -> int:
        """The largest level of a weight."""
        return 63 if self.reduce_range else 127
