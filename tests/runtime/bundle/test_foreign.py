"""Exports of others load by their directory, whatever their names and inputs."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper

from leanbert import Bundle, pipeline
from leanbert.cli import main
from leanbert.errors import (
    BundleCorruptError,
    BundleNotFoundError,
    EngineError,
    InputError,
    TaskError,
)
from tests.helpers.tiny_bundles import Tiny, reference

TEXT = "profit rose in the quarter"
FEATURES = Tiny(task="feature-extraction")
pytestmark = pytest.mark.filterwarnings("ignore:.*nothing of it is verified")


def model_of(folder: Path) -> onnx.ModelProto:
    return onnx.load(str(folder / "model.onnx"))


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name


@pytest.mark.parametrize("place", ["model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"])
def test_external_data_beside_the_graph(make_bundle: Callable[..., Path], place: str) -> None:
    plain = make_bundle(manifest=False)
    wanted = pipeline("text-classification", plain)(TEXT, top_k=None)
    model = model_of(plain)
    (plain / "model.onnx").unlink()
    path = plain / place
    path.parent.mkdir(exist_ok=True)
    data = path.name + "_data"
    external_data_helper.convert_model_to_external_data(model, location=data, size_threshold=200)
    onnx.save(model, str(path))
    assert (path.parent / data).stat().st_size > 1000
    assert Bundle.open(plain).size > (path.parent / data).stat().st_size
    assert pipeline("text-classification", plain)(TEXT, top_k=None) == wanted


@pytest.mark.slow
def test_an_export_as_for_transformers_js(families: Any, tmp_path: Path) -> None:
    """Optimum's graph, quantized by ONNX Runtime's own tool, below ``onnx/``."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = families.plain("bert", "text-classification")
    texts = ["Profit rose in Berlin.", "a", "The bank said so, and the debt is bad."]
    wanted = pipeline("text-classification", whole)(texts, top_k=None)
    folder = Path(shutil.copytree(whole, tmp_path / "js"))
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "source.onnx")
    quantize_dynamic(
        folder / "onnx" / "source.onnx",
        folder / "onnx" / "model_quantized.onnx",
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )
    assert Bundle.open(folder).model_path.name == "model_quantized.onnx"
    for ours, theirs in zip(pipeline(model=folder)(texts, top_k=None), wanted, strict=True):
        scores = {row["label"]: row["score"] for row in ours}
        for row in theirs:
            assert scores[row["label"]] == pytest.approx(row["score"], abs=0.15)
    assert pipeline(model=folder)(texts, top_k=None) != wanted


def test_a_graph_of_another_name(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    (plain / "onnx").mkdir()
    (plain / "model.onnx").rename(plain / "onnx" / "encoder.onnx")
    assert Bundle.open(plain).model_path == plain / "onnx" / "encoder.onnx"
    (plain / "other.onnx").touch()
    with pytest.raises(BundleNotFoundError, match=r"onnx/encoder\.onnx, other\.onnx is called"):
        Bundle.open(plain)


def test_the_order_of_inputs_does_not_matter(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    wanted = pipeline("text-classification", plain)({"text": TEXT, "text_pair": "a loss"})
    model = model_of(plain)
    inputs = list(model.graph.input)
    del model.graph.input[:]
    model.graph.input.extend(reversed(inputs))
    onnx.save(model, str(plain / "model.onnx"))
    assert pipeline("text-classification", plain)({"text": TEXT, "text_pair": "a loss"}) == wanted


@pytest.mark.parametrize(
    ("config", "first"),
    [({}, 0), ({"model_type": "roberta", "pad_token_id": 1}, 2), ({"model_type": "roberta"}, 2)],
)
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_position_ids_are_supplied(
    make_bundle: Callable[..., Path], config: dict[str, Any], first: int, kind: int
) -> None:
    """The graph adds each token's position to its vector; RoBERTa numbers from 2."""
    options = {"pad_token_id": None} | config
    plain = make_bundle(
        task="feature-extraction", manifest=False, config={"max_position_embeddings": 40} | options
    )
    model = model_of(plain)
    model.graph.input.append(
        helper.make_tensor_value_info("position_ids", kind, ["batch", "length"])
    )
    rename(model, "last_hidden_state", "without")
    model.graph.output[0].name = "last_hidden_state"
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["position_ids"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["floats", "axis2"], ["positions"]),
            helper.make_node("Add", ["without", "positions"], ["last_hidden_state"]),
        ]
    )
    onnx.save(model, str(plain / "model.onnx"))
    embed = pipeline("feature-extraction", plain, threads=1)
    found = embed([TEXT, "growth"], return_tensors="np")  # one batch, the second padded
    for text, rows in zip([TEXT, "growth"], found, strict=True):
        wanted = reference(FEATURES, text)
        wanted = wanted + np.arange(first, first + len(wanted))[:, None]
        np.testing.assert_allclose(rows[0], wanted, atol=1e-5)


def test_an_input_that_nobody_knows(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    model = model_of(plain)
    model.graph.input.append(
        helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])
    )
    onnx.save(model, str(plain / "model.onnx"))
    with pytest.raises(EngineError) as caught:
        pipeline("text-classification", plain)
    assert "needs the input use_cache_branch, which LeanBERT does not make" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_outputs_of_sentence_transformers(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(task="feature-extraction", manifest=False)
    model = model_of(plain)
    rename(model, "last_hidden_state", "token_embeddings")
    model.graph.node.append(
        helper.make_node(
            "ReduceMax", ["token_embeddings"], ["sentence_embedding"], axes=[1], keepdims=0
        )
    )
    model.graph.output.append(
        helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", 8])
    )
    onnx.save(model, str(plain / "model.onnx"))
    embed: Any = pipeline("feature-extraction", plain, threads=1)
    hidden = reference(FEATURES, TEXT)
    np.testing.assert_allclose(embed(TEXT)[0], hidden, atol=1e-5)
    for pooling, wanted in {
        "mean": hidden.mean(axis=0),
        "max": hidden.max(axis=0),
        "cls": hidden[0],
        "sentence_embedding": hidden.max(axis=0),
    }.items():
        np.testing.assert_allclose(embed(TEXT, pooling=pooling), wanted, atol=1e-5)


@pytest.mark.parametrize("chosen", ["output_0", 0, "0"])
def test_an_output_of_another_name(make_bundle: Callable[..., Path], chosen: str | int) -> None:
    plain = make_bundle(manifest=False)
    wanted = pipeline("text-classification", plain)(TEXT, top_k=None)
    model = model_of(plain)
    rename(model, "logits", "output_0")
    onnx.save(model, str(plain / "model.onnx"))
    classify = pipeline("text-classification", plain, output_name=chosen)
    assert classify(TEXT, top_k=None) == wanted
    assert pickle.loads(pickle.dumps(classify))(TEXT, top_k=None) == wanted  # noqa: S301


def with_output(folder: Path, old: str, width: int) -> None:
    """Rename an output, and put another beside it that repeats its first column."""
    model = model_of(folder)
    rename(model, old, "output_0")
    axis = len(model.graph.output[0].type.tensor_type.shape.dim) - 1
    model.graph.initializer.append(
        helper.make_tensor("first", TensorProto.INT64, [width], [0] * width)
    )
    model.graph.node.append(
        helper.make_node("Gather", ["output_0", "first"], ["columns"], axis=axis)
    )
    shape = ["batch", width] if axis == 1 else ["batch", "tokens", width]
    model.graph.output.append(helper.make_tensor_value_info("columns", TensorProto.FLOAT, shape))
    onnx.save(model, str(folder / "model.onnx"))


def test_the_only_output_that_fits_is_taken(
    make_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_bundle(manifest=False, config={"architectures": ["BertForSequenceClassification"]})
    wanted = pipeline("text-classification", plain)(TEXT, top_k=None)
    with_output(plain, "logits", 32)
    classify = pipeline("text-classification", plain)
    assert classify(TEXT, top_k=None) == wanted
    assert pickle.loads(pickle.dumps(classify))(TEXT, top_k=None) == wanted  # noqa: S301
    assert main(["info", str(plain)]) == 0
    assert "output_0, the only one that fits" in capsys.readouterr().out


@pytest.mark.parametrize("hidden", [None, 3])
def test_an_output_that_may_be_another_is_not_taken(
    make_bundle: Callable[..., Path], hidden: int | None
) -> None:
    """Two outputs of as many columns as labels, or hidden states that have as many."""
    config = {} if hidden is None else {"hidden_size": hidden}
    plain = make_bundle(manifest=False, config=config)
    labels = len(pipeline("text-classification", plain)(TEXT, top_k=None))
    assert labels == 3
    with_output(plain, "logits", 3 if hidden is None else 8)
    with pytest.raises(TaskError) as caught:
        pipeline("text-classification", plain)
    message = str(caught.value)
    assert "output_0 of each text (1 x 3), columns of each text (1 x " in message
    assert message.endswith("output with output_name=NAME")
    assert "\n" not in message


def test_hidden_states_are_told_by_their_width(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(task="feature-extraction", manifest=False, config={"hidden_size": 8})
    wanted = pipeline("feature-extraction", plain)(TEXT)
    with_output(plain, "last_hidden_state", 5)
    np.testing.assert_array_equal(pipeline("feature-extraction", plain)(TEXT), wanted)


@pytest.mark.parametrize(
    ("task", "chosen", "message"),
    [
        ("text-classification", "x", "output_name is 'x'; the graph's outputs are 0 logits"),
        ("text-classification", 1, "output_name is 1; the graph's outputs are 0 logits"),
        ("text-classification", -1, "output_name is -1; the graph's outputs are 0 logits"),
        ("feature-extraction", 0, "output_name is 0; the task needs an output of 3 axes, logits"),
        ("question-answering", 0, "the task needs the outputs start_logits and end_logits"),
    ],
)
def test_an_output_that_cannot_be_chosen(
    make_bundle: Callable[..., Path], task: str, chosen: str | int, message: str
) -> None:
    plain = make_bundle(manifest=False)
    with pytest.raises(InputError, match=message):
        pipeline(task, plain, output_name=chosen)


def test_the_output_of_a_bundle_is_not_chosen(tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="the outputs of a bundle are those of its task"):
        pipeline("text-classification", tiny_bundle, output_name="logits")


def test_a_chosen_output_has_as_many_logits_as_labels(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    model = model_of(plain)
    model.graph.node.append(helper.make_node("Concat", ["logits", "logits"], ["both"], axis=1))
    model.graph.output.append(
        helper.make_tensor_value_info("both", TensorProto.FLOAT, ["batch", 6])
    )
    onnx.save(model, str(plain / "model.onnx"))
    classify = pipeline("text-classification", plain, output_name="both")
    with pytest.raises(BundleCorruptError, match="6"):
        classify(TEXT)


def test_the_command_names_the_output(
    make_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_bundle(manifest=False)
    model = model_of(plain)
    rename(model, "logits", "output_0")
    onnx.save(model, str(plain / "model.onnx"))
    words = ["predict", "-m", str(plain), "--task", "text-classification", TEXT]
    assert main([*words, "--output-name", "output_0"]) == 0
    assert capsys.readouterr().out.endswith(TEXT + "\n")
    rename(model, "output_0", "output_1")
    model.graph.node.append(helper.make_node("Identity", ["output_1"], ["again"]))
    model.graph.output.append(
        helper.make_tensor_value_info("again", TensorProto.FLOAT, ["batch", 3])
    )
    onnx.save(model, str(plain / "model.onnx"))
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("with --output-name NAME\n")


def test_max_pooling_sees_no_padding(embed: Any) -> None:
    texts = [TEXT, "growth"]
    wanted = [reference(FEATURES, text).max(axis=0) for text in texts]
    np.testing.assert_allclose(embed(texts, pooling="max"), wanted, atol=1e-5)
    with pytest.raises(InputError, match=r"model\.onnx has no such output"):
        embed(TEXT, pooling="sentence_embedding")


def test_tokenize_kwargs(embed: Any) -> None:
    long = "profit " * 50
    assert embed(long, tokenize_kwargs={"truncation": True}) == embed(long, truncation=True)
    found = embed(long, tokenize_kwargs={"truncation": True, "max_length": 8})
    assert np.shape(found) == (1, 8, 8)


def test_a_graph_in_half_precision(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    wanted = pipeline("text-classification", plain)(TEXT)
    model = model_of(plain)
    rename(model, "logits", "single")
    model.graph.output[0].name = "logits"
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    model.graph.node.append(
        helper.make_node("Cast", ["single"], ["logits"], to=TensorProto.FLOAT16)
    )
    onnx.save(model, str(plain / "model.onnx"))
    [found] = pipeline("text-classification", plain)(TEXT)
    assert found["label"] == wanted[0]["label"]
    assert found["score"] == pytest.approx(wanted[0]["score"], abs=1e-2)


def test_the_task_is_that_of_the_checkpoints_head(make_bundle: Callable[..., Path]) -> None:
    config = {"architectures": ["BertForSequenceClassification"]}
    assert pipeline(model=make_bundle(manifest=False, config=config)).task == "text-classification"
