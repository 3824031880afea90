"""The graph of a description: its values, and that no text reads another's padding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import transformers

from leanbert_export.architectures.describing import describe
from leanbert_export.architectures.description import Encoder
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.graph.encoder import build_graph
from leanbert_export.graph.folding import fold
from leanbert_export.quiet import quiet
from tests.export.conftest import Workshop, load
from tests.helpers import families

pytestmark = pytest.mark.slow

Floats = npt.NDArray[np.float32]
LENGTHS = (9, 1, 40, 2, 33)
SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": 0,
}


@dataclass
class Made:
    """A model that was never saved: as much of a checkpoint as a description needs."""

    task: str


def made(family: str, task: str, **config: Any) -> LoadedCheckpoint:
    """A random model of any family that this transformers has, with biases that are not 0."""
    kind, options = families.HEADS[task]
    with quiet():
        try:
            settings = transformers.AutoConfig.for_model(family, **{**SIZES, **options, **config})
        except ValueError:
            pytest.skip(f"transformers {transformers.__version__} has no {family}")
        torch.manual_seed(3)
        model = getattr(transformers, kind).from_config(settings).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 1:
                value.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
    checkpoint: Any = Made(task)
    return LoadedCheckpoint(checkpoint, None, model, {}, {})


def inputs_of(encoder: Encoder, padding: int) -> dict[str, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    shape = len(LENGTHS), max(LENGTHS)
    mask = (np.arange(shape[1]) < np.array(LENGTHS)[:, None]).astype(np.int64)
    ids = np.where(mask > 0, rng.integers(4, 60, shape), padding)
    types = {"token_type_ids": rng.integers(0, 2, shape)} if encoder.reads_types else {}
    return {"input_ids": ids, "attention_mask": mask, **types}


def session_of(encoder: Encoder) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    model = ir.to_proto(build_graph(encoder).model)
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def answers(encoder: Encoder, inputs: dict[str, npt.NDArray[np.int64]]) -> list[Floats]:
    found: list[Floats] = session_of(encoder).run(list(encoder.head.outputs), inputs)
    return found


def assert_as_pytorch(checkpoint: LoadedCheckpoint) -> Encoder:
    """The same values to 1e-5 where there are real tokens, in a batch and alone."""
    encoder = describe(checkpoint)
    padding = checkpoint.model.config.pad_token_id or 0
    inputs = inputs_of(encoder, padding)
    with torch.inference_mode():
        theirs = checkpoint.model(**{k: torch.from_numpy(v) for k, v in inputs.items()})
    task = checkpoint.checkpoint.task
    mask = inputs["attention_mask"].astype(bool)
    for name, found in zip(HEADS[task].outputs, answers(encoder, inputs), strict=True):
        wanted = getattr(theirs, name).numpy()
        assert np.ptp(wanted) > 0.1
        if HEADS[task].per_token:
            found, wanted = found[mask], wanted[mask]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)
    session = session_of(encoder)
    whole = answers(encoder, inputs)[0]
    for i, length in enumerate(LENGTHS):
        alone = {name: array[i : i + 1, :length] for name, array in inputs.items()}
        found = session.run(None, alone)[0][0]
        wanted = whole[i, :length] if HEADS[task].per_token else whole[i]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    return encoder


@pytest.mark.parametrize("task", families.HEADS)
@pytest.mark.parametrize("family", ["nomic_bert", "gte", "camembert", "data2vec-text"])
def test_families_without_a_tokenizer_of_ours(family: str, task: str) -> None:
    if task == "question-answering" and family in ("nomic_bert", "gte"):
        pytest.skip("transformers has no such head")
    more: dict[str, Any] = {}
    if family in ("camembert", "data2vec-text"):
        more = {"pad_token_id": 1}
    assert_as_pytorch(made(family, task, **more))


@pytest.mark.parametrize("task", ["text-classification", "feature-extraction"])
@pytest.mark.parametrize(
    "config",
    [
        {"classifier_pooling": "mean"},
        {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True},
        {"hidden_activation": "silu"},
    ],
)
def test_settings_of_modernbert(task: str, config: dict[str, Any]) -> None:
    settings = {"local_attention": 8, "global_attn_every_n_layers": 2, **config}
    encoder = assert_as_pytorch(made("modernbert", task, **settings))
    assert encoder.layers[1].attention.window == 4


@pytest.mark.parametrize("task", ["text-classification", "fill-mask"])
@pytest.mark.parametrize(
    "config",
    [
        {"pos_att_type": ["c2p"], "position_buckets": 8},
        {"pos_att_type": ["p2c"], "position_buckets": -1, "norm_rel_ebd": "layer_norm"},
        {"pos_att_type": "p2c|c2p", "share_att_key": True, "position_buckets": 16},
        {"relative_attention": False, "position_biased_input": True, "type_vocab_size": 2},
        {
            "position_biased_input": True,
            "pos_att_type": ["c2p", "p2c"],
            "max_relative_positions": 9,
        },
    ],
)
def test_settings_of_deberta(task: str, config: dict[str, Any]) -> None:
    settings = {"relative_attention": True, "position_biased_input": False, "type_vocab_size": 0}
    assert_as_pytorch(made("deberta-v2", task, **{**settings, **config}))


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 4, "num_hidden_groups": 2},
        {"num_hidden_layers": 2, "inner_group_num": 2},
    ],
)
def test_groups_of_albert(config: dict[str, Any]) -> None:
    encoder = assert_as_pytorch(made("albert", "text-classification", embedding_size=16, **config))
    assert len(encoder.layers) == 4
    assert len({id(layer) for layer in encoder.layers}) == 2


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("bert", {"hidden_act": "relu"}),
        ("bert", {"hidden_act": "gelu_new"}),
        ("bert", {"hidden_act": "silu"}),
        ("bert", {"type_vocab_size": 1}),
        ("bert", {"num_hidden_layers": 1}),
        ("electra", {"embedding_size": 16}),
        ("mpnet", {"relative_attention_num_buckets": 40, "pad_token_id": 1}),
    ],
)
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_other_settings(family: str, config: dict[str, Any], task: str) -> None:
    assert_as_pytorch(made(family, task, **config))


def test_positions_are_counted_as_pytorch_counts_them() -> None:
    """An id of padding inside a text, as a user can type one, is not counted."""
    checkpoint = made("roberta", "feature-extraction", pad_token_id=1, type_vocab_size=1)
    encoder = describe(checkpoint)
    ids = np.array([[0, 7, 1, 8, 9]])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    with torch.inference_mode():
        wanted = checkpoint.model(**{k: torch.from_numpy(v) for k, v in inputs.items()})
    (found,) = answers(encoder, inputs)
    np.testing.assert_allclose(found, wanted.last_hidden_state.numpy(), rtol=0, atol=1e-5)


def test_biases_move_without_changing_an_answer(workshop: Workshop) -> None:
    encoder = describe(load(workshop.tiny("features")))
    folded = fold(encoder)
    for before, after in zip(encoder.layers, folded.layers, strict=True):
        assert after.attention.key.bias is after.attention.value.bias is None
        assert after.feed_forward.down.bias is None
        assert after.attention.query is before.attention.query
        value, output = before.attention.value, before.attention.output
        assert value.bias is not None
        assert output.bias is not None
        moved, found = output.bias + value.bias @ output.weight, after.attention.output.bias
        assert found is not None
        np.testing.assert_allclose(found, moved, rtol=0, atol=1e-6)
        assert after.attention.output.weight is output.weight


def test_shared_layers_share_initializers() -> None:
    checkpoint = made("albert", "feature-extraction", embedding_size=16, num_hidden_layers=3)
    final = build_graph(describe(checkpoint))
    names = {name for name in final.model.graph.initializers if name.startswith("layer.")}
    assert all(name.startswith("layer.0.") for name in names)
    assert final.roles["layer.2.ffn_up.weight"] == "layer.0.ffn_up.weight"


def test_large_weights_are_read_when_they_are_saved(workshop: Workshop) -> None:
    final = workshop.final("classifier")
    kinds = {
        name: type(value.const_value)
        for name, value in final.model.graph.initializers.items()
        if name.startswith("embeddings.")
    }
    assert kinds["embeddings.word"] is ir.LazyTensor
    assert kinds["embeddings.norm.gamma"] is not ir.LazyTensor


def test_a_changed_description_changes_the_graph(workshop: Workshop) -> None:
    """The tests above would see a wrong scale: it is not hidden by anything."""
    encoder = describe(load(workshop.tiny("features")))
    layer = encoder.layers[0]
    other = replace(layer, attention=replace(layer.attention, scale=0.3))
    inputs = inputs_of(encoder, 0)
    one, two = (
        answers(each, inputs)[0]
        for each in (encoder, replace(encoder, layers=[other, *encoder.layers[1:]]))
    )
    assert float(np.abs(one - two).max()) > 1e-3
