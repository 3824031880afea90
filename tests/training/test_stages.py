"""How a network is loaded between stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from leanbert_training import stages
from tests.helpers.training_models import network


def test_heads_that_a_checkpoint_lacks_are_the_same_each_time(
    tokenizer: Any, tmp_path: Path
) -> None:
    """Else no training that was interrupted would be gone on with."""
    network().model.bert.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    one, same, other = (stages.load_network(tmp_path, seed)[0] for seed in (1, 1, 2))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(same.state_dict()[name], value, rtol=0, atol=0)
    assert not torch.equal(one.second.weight, other.second.weight)
    assert not torch.equal(one.model.classifier.weight, other.model.classifier.weight)
