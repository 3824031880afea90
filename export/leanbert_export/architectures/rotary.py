"""Rotary positions under the names of transformers' configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from leanbert_export.architectures.description import Rotary
from leanbert_export.architectures.tensors import NotDescribedError

__all__ = ["rotary_of"]


def rotary_of(parameters: Mapping[str, Any], head_size: int) -> Rotary:
    """The rotary positions that ``rope_parameters`` asks for.

    Args:
        parameters: ``rope_type`` and ``rope_theta``.
        head_size: of the attention.

    Raises:
        NotDescribedError: they are scaled in some way.
    """
    kind = parameters.get("rope_type", "default")
    if kind != "default" or parameters.get("partial_rotary_factor", 1.0) != 1.0:
        raise NotDescribedError(f"its rotary positions are scaled ({kind})")
    theta = float(parameters["rope_theta"])
    # In float32 and in this order, as PyTorch does it.
    powers = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    return Rotary(theta, (np.float32(1) / np.float32(theta) ** powers).astype(np.float32))
