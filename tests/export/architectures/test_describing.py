"""What a description holds: PyTorch's own numbers under the right names, and nothing left over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leanbert_export.architectures import describing
from leanbert_export.architectures.describing import FAMILIES, describe
from leanbert_export.architectures.tensors import NotDescribedError, Tensors
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from tests.export.conftest import Workshop, load
from tests.helpers import family_checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> family_checkpoints.Workshop:
    return family_checkpoints.Workshop(tmp_path_factory.mktemp("described"))


def loaded(checkpoints: family_checkpoints.Workshop, family: str, task: str) -> LoadedCheckpoint:
    return load(checkpoints.checkpoint(family, task), task)


def test_bert(workshop: Workshop) -> None:
    checkpoint = load(workshop.tiny())
    state = {name: value.numpy() for name, value in checkpoint.model.state_dict().items()}
    encoder = describe(checkpoint)
    assert (encoder.family, encoder.hidden_size, encoder.max_tokens) == ("bert", 32, 512)
    assert encoder.reads_types
    assert not encoder.pre_norm
    assert encoder.embeddings.position_offset == 0
    layer, own = encoder.layers[1], "bert.encoder.layer.1"
    attention = layer.attention
    assert attention.num_heads == 2
    assert attention.scale == 0.25
    for found, name in (
        (attention.query, "attention.self.query"),
        (attention.key, "attention.self.key"),
        (attention.value, "attention.self.value"),
        (attention.output, "attention.output.dense"),
        (layer.feed_forward.up, "intermediate.dense"),
        (layer.feed_forward.down, "output.dense"),
    ):
        weight = state[f"{own}.{name}.weight"]
        assert np.array_equal(found.weight, weight.T)
        assert np.shares_memory(found.weight, weight)  # nothing is copied
        assert found.bias is not None
        assert np.array_equal(found.bias, state[f"{own}.{name}.bias"])
    assert encoder.head.pooling == "first_token"
    assert encoder.head.activation == "tanh"


def test_albert_repeats_its_layers(checkpoints: family_checkpoints.Workshop) -> None:
    encoder = describe(loaded(checkpoints, "albert", "fill-mask"))
    first, second = encoder.layers
    assert first is second
    assert encoder.embeddings.projection is not None
    assert encoder.embeddings.projection.weight.shape == (16, 32)
    assert encoder.head.tied
    assert encoder.head.classifier is not None
    assert np.shares_memory(encoder.head.classifier.weight, encoder.embeddings.word)


@pytest.mark.parametrize(
    ("family", "offset", "longest"),
    [("roberta", 1, 159), ("xlm-roberta", 2, 158), ("mpnet", 2, 158), ("bert", 0, 160)],
)
def test_where_positions_begin(
    checkpoints: family_checkpoints.Workshop, family: str, offset: int, longest: int
) -> None:
    checkpoint = loaded(checkpoints, family, "feature-extraction")
    encoder = describe(checkpoint)
    if family in ("roberta", "xlm-roberta"):
        offset = checkpoint.model.config.pad_token_id + 1
        longest = 160 - offset
    assert encoder.embeddings.position_offset == offset
    assert encoder.max_tokens == longest


def test_modernbert(checkpoints: family_checkpoints.Workshop) -> None:
    encoder = describe(loaded(checkpoints, "modernbert", "text-classification"))
    assert encoder.pre_norm
    assert encoder.final_norm is not None
    assert encoder.embeddings.position is None
    assert [layer.attention.window for layer in encoder.layers] == [None, 8]
    assert encoder.layers[0].attention_norm is None
    assert encoder.layers[1].attention_norm is not None
    assert encoder.layers[1].attention_norm.beta is None
    thetas = [layer.attention.rotary.theta for layer in encoder.layers if layer.attention.rotary]
    assert thetas == [160_000.0, 10_000.0]
    assert all(layer.feed_forward.multiplier is not None for layer in encoder.layers)


def test_every_tensor_must_be_read(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load(workshop.tiny())
    checkpoint.model.bert.encoder.layer[0].extra = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(NotDescribedError, match=r"^the model has bert\.encoder\.layer\.0\.extra"):
        describe(checkpoint)


def test_what_is_not_described(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load(workshop.tiny())
    with monkeypatch.context() as patch:
        patch.setattr(describing, "FAMILIES", {"albert": "albert"})
        with pytest.raises(NotDescribedError, match="no description of the architecture bert"):
            describe(checkpoint)
    checkpoint = load(workshop.tiny())
    checkpoint.model.config.hidden_act = "mish"
    with pytest.raises(NotDescribedError, match=r"^its activation is 'mish'$"):
        describe(checkpoint)


def test_a_tensor_that_is_not_there() -> None:
    tensors = Tensors({"a.b.weight": np.zeros((2, 3), np.float32)})
    assert tensors.under("a").linear("b").weight.shape == (3, 2)
    assert not tensors.unread()
    with pytest.raises(NotDescribedError, match=r"^the model has no tensor a\.c$"):
        tensors.under("a")["c"]
    assert tensors.under("a").optional("c") is None


def test_every_family_has_its_module() -> None:
    for module in FAMILIES.values():
        imported = __import__(f"{describing.__package__}.{module}", fromlist=["describe"])
        assert callable(imported.describe)
