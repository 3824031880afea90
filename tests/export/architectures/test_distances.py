"""Rows of relative positions, held against transformers' own functions for every distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from leanbert_export.architectures.distances import disentangled_rows, relative_buckets

FAR = np.arange(-1100, 1101)


@pytest.mark.parametrize("buckets", [32, 64, 8])
@pytest.mark.parametrize("most", [128, 256])
def test_mpnet(buckets: int, most: int) -> None:
    wanted = MPNetEncoder.relative_position_bucket(
        torch.from_numpy(FAR), num_buckets=buckets, max_distance=most
    )
    assert relative_buckets(FAR, buckets, most).tolist() == wanted.tolist()


@pytest.mark.parametrize(("buckets", "most"), [(256, 512), (32, 512), (48, 160), (4, 33)])
def test_deberta(buckets: int, most: int) -> None:
    found = make_log_bucket_position(torch.from_numpy(FAR), buckets, most).long()
    wanted = torch.clamp(found + buckets, 0, 2 * buckets - 1)
    assert disentangled_rows(FAR, buckets, buckets, most).tolist() == wanted.tolist()


def test_deberta_without_buckets() -> None:
    assert disentangled_rows(np.array([-9, -4, 0, 3, 9]), 4, 0, 4).tolist() == [0, 0, 4, 7, 7]
