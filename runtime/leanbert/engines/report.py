"""Which engine computes a bundle here, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EngineReport"]


class EngineReport(NamedTuple):
    """Which engine computes a bundle here, how, and why not the native one."""

    engine: str
    """``"native"`` or ``"onnxruntime"``."""
    matmuls: str
    """How the matrix multiplications are computed on this CPU, in words."""
    isa: str | None
    """The native engine's kernels, for example ``"avx512_vnni"``; ``None`` for ONNX Runtime."""
    why_not_native: str | None
    """Why ``engine="auto"`` passed the native engine over, in a clause; ``None`` where it computes,
    and where ONNX Runtime was asked for."""

    def __str__(self) -> str:
        reason = f"; not native: {self.why_not_native}" if self.why_not_native else ""
        return f"{self.engine} ({self.matmuls}{reason})"
