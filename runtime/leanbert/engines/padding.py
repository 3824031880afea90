"""Rectangles for engines that cannot do without: padding, and what takes it out again.

The ONNX Runtime engine alone uses it at run time; outside, the PyTorch model that bundles are
measured against and the peers of the benchmark need it too.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from leanbert.engines.batch import Batch

__all__ = ["ModelInputs", "pad", "strip"]

ModelInputs: TypeAlias = "dict[str, npt.NDArray[np.int64]]"
"""``input_ids``, ``attention_mask`` and ``token_type_ids``, each ``(batch_size, seq_len)``."""


def pad(batch: Batch, pad_token_id: int) -> ModelInputs:
    """The texts of a batch as rows, filled on the right to the longest of them.

    *Shape:* each ``(texts, longest)`` int64.
    """
    longest = int(batch.lengths.max(initial=0))
    real = np.arange(longest) < batch.lengths[:, None]
    input_ids = np.full(real.shape, pad_token_id, dtype=np.int64)
    input_ids[real] = batch.input_ids
    token_type_ids = np.zeros(real.shape, dtype=np.int64)
    token_type_ids[real] = batch.token_type_ids
    return {
        "input_ids": input_ids,
        "attention_mask": real.astype(np.int64),
        "token_type_ids": token_type_ids,
    }


def strip(padded: npt.NDArray[Any], batch: Batch) -> npt.NDArray[Any]:
    """The rows of real tokens, text after text.

    *Shape:* ``(texts, longest, …)`` -> ``(tokens, …)``.
    """
    texts, longest = padded.shape[:2]
    if texts * longest == len(batch.input_ids):  # nothing was padded
        flat: npt.NDArray[Any] = padded.reshape(texts * longest, *padded.shape[2:])
        return flat
    stripped: npt.NDArray[Any] = padded[np.arange(longest) < batch.lengths[:, None]]
    return stripped
