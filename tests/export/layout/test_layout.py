"""The native engine's layout: what it says of the graph, and that both engines answer alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest

from leanbert import verify
from leanbert.bundle import MANIFEST, Bundle
from leanbert.engines import load_engine, report_engine
from leanbert.engines.native.binding import why_no_library
from leanbert.engines.outputs import task_output
from leanbert.tokenization import Tokenizer
from leanbert_export import writing
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.graph.fusion import fuse
from leanbert_export.graph.rewriting import rewrite
from leanbert_export.graph.saving import replace_graph
from leanbert_export.int8.matmuls import find_matmuls
from leanbert_export.int8.quantization import is_classifier, quantize_graph
from leanbert_export.int8.weights import quantize_matmuls
from leanbert_export.layout import sealing
from leanbert_export.layout.walk import NoLayoutError, find_roles, make_layout
from leanbert_export.proof.predictions import Predictions
from leanbert_export.proof.reference import TorchReference
from leanbert_export.recipe import Int8Settings
from leanbert_export.samples import sample_texts
from tests.export.conftest import Workshop, load

pytestmark = pytest.mark.slow

KINDS = ("classifier", "features")


def native_or_skip() -> None:
    if (reason := why_no_library()) is not None:
        pytest.skip(f"no native engine here: {reason}")


def manifest_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    return content


def graph_of(bundle: Path) -> ir.Graph:
    return ir.load(bundle / "model.onnx").graph


def answers(bundle: Path, engine: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """The task's answers, all texts in one batch."""
    opened = Bundle.open(bundle)
    running = load_engine(opened, 2, engine)
    assert running.name == engine
    return read(opened, texts, lambda batch: task_output(running.run(batch)))


def read(bundle: Bundle, texts: Sequence[str], run: Any) -> npt.NDArray[np.float32]:
    task = str(bundle.task)
    prepared = Predictions(task, bundle).prepare(texts)
    batch = Tokenizer.of(bundle).encode(prepared, truncation=True)
    found: npt.NDArray[np.float32] = np.concatenate(
        Predictions(task, bundle).read(run(batch), batch)
    )
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_where_the_layout_says(workshop: Workshop, kind: str) -> None:
    bundle = workshop.bundle(kind, "int8")
    layout = manifest_of(bundle)["native"]
    roles = find_roles(graph_of(bundle), Bundle.open(bundle).config)
    assert layout["architecture"] == roles.architecture
    assert set(layout["tensors"]) == set(roles.tensors)
    data = (bundle / layout["file"]).read_bytes()
    saved = {t.name: t for t in onnx.load(str(bundle / "model.onnx")).graph.initializer}
    for role, entry in layout["tensors"].items():
        array = onnx.numpy_helper.to_array(saved[roles.tensors[role]])
        start = entry["offset"]
        assert data[start : start + entry["bytes"]] == array.tobytes()
        assert entry["dtype"] == str(array.dtype)
        assert int(np.prod(entry["shape"])) == array.size
        assert start % array.itemsize == 0


def test_the_architecture(workshop: Workshop) -> None:
    layout = manifest_of(workshop.bundle("classifier", "int8"))["native"]
    assert layout["format"] == 1
    assert layout["architecture"] == {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "embedding_size": 32,
        "vocab_size": 30522,
        "max_positions": 512,
        "position_offset": 0,
        "type_vocab_size": 2,
        "token_type_ids": True,
        "num_layers": 2,
        "activation": "gelu",
        "layer_norm_eps": 1e-12,
        "head": "first_token",
        "head_activation": "tanh",
    }
    shapes = {role: entry["shape"] for role, entry in layout["tensors"].items()}
    assert shapes["layer.0.qkv.weight"] == [32, 96]
    assert shapes["layer.0.qkv.bias"] == [32]  # the query's alone
    assert shapes["layer.1.qkv.weight"] == [32, 64]
    assert shapes["layer.1.query.weight"] == [32, 32]
    assert shapes["head.classifier.weight"] == [32, 3]
    assert shapes["embeddings.word_scale"] == [30522]
    features = manifest_of(workshop.bundle("features", "int8"))["native"]
    assert features["architecture"]["head"] == "none"
    assert features["tensors"]["layer.1.qkv.weight"]["shape"] == [32, 96]
    assert not any("query" in role for role in features["tensors"])


@pytest.mark.parametrize("kind", KINDS)
def test_both_engines_answer_as_pytorch(workshop: Workshop, kind: str) -> None:
    native_or_skip()
    bundle = workshop.bundle(kind, "int8")
    reference = TorchReference(load(workshop.tiny(kind)))
    opened, texts = Bundle.open(bundle), list(sample_texts()[:60])
    wanted = read(opened, texts, reference.run)
    native, other = (answers(bundle, name, texts) for name in ("native", "onnxruntime"))
    distances = [float(np.abs(found - wanted).mean()) for found in (native, other)]
    assert max(distances) < 0.02
    # Own scales at both ends of a row: never clearly worse than the graph's one zero point.
    assert distances[0] < 1.3 * distances[1]
    assert HEADS[reference.task].outputs == load_engine(opened, 1, "native").output_names


@pytest.mark.parametrize("kind", KINDS)
def test_the_export_proves_the_layout(workshop: Workshop, kind: str) -> None:
    native_or_skip()
    report = workshop.report(kind, "int8")
    assert report.native.startswith("yes; 25 golden texts within ")
    assert manifest_of(report.path)["card"]["native engine"] == report.native
    assert verify(report.path).engine == "native"
    assert verify(report.path, engine="onnxruntime").engine == "onnxruntime"


def test_other_recipes_have_no_layout(workshop: Workshop) -> None:
    report = workshop.report("classifier", "fp32")
    assert "native" not in manifest_of(report.path)
    assert report.native == "no, it computes the recipe int8 only, and this bundle has fp32"
    found = report_engine(Bundle.open(report.path))
    assert found.engine == "onnxruntime"
    reason = "it computes the recipe int8 only, and this bundle has fp32"
    assert why_no_library() or found.why_not_native == reason


def content_of(bundle: Path) -> dict[str, Any]:
    content = manifest_of(bundle)
    for key in ("sha256", "format_version", "files", "native"):
        del content[key]
    return content


def test_a_layout_that_answers_wrongly_is_dropped(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native_or_skip()
    copy = Path(shutil.copytree(workshop.bundle("classifier", "int8"), tmp_path / "copy"))

    def exchanged(*arguments: Any) -> dict[str, Any]:
        layout = make_layout(*arguments)
        tensors = layout["tensors"]
        one, other = "layer.0.ffn_norm.gamma", "layer.0.ffn_norm.beta"
        tensors[one], tensors[other] = tensors[other], tensors[one]
        return layout

    monkeypatch.setattr(sealing, "make_layout", exchanged)
    content = content_of(copy)
    line = sealing.seal_with_layout(copy, content)
    assert line.startswith("no, golden text 0 (")
    assert len(line.splitlines()) == 1
    assert "native" not in content


def test_without_the_library_the_layout_stands_untried(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(workshop.bundle("classifier", "int8"), tmp_path / "copy"))
    monkeypatch.setattr(sealing, "why_no_library", lambda: "it is not installed")
    content = content_of(copy)
    line = sealing.seal_with_layout(copy, content)
    assert line == "yes, but not tried by the export: it is not installed"
    assert content["native"]["file"] == "model.onnx.data"


@pytest.mark.parametrize(
    "left", ["layer.0.qkv", "layer.0.ffn_up", "layer.1.query", "layer.1.key_value", "head.dense"]
)
def test_a_matmul_in_fp32(workshop: Workshop, tmp_path: Path, left: str) -> None:
    """As the accuracy gate leaves one: its weights are float32 in the layout too."""
    native_or_skip()
    source = workshop.bundle("classifier", "int8")
    checkpoint = find_checkpoint(str(workshop.tiny()), revision=None, task=None)
    fuse(workshop.root / "traced" / "classifier" / "model.onnx", tmp_path / "f.onnx", checkpoint)
    model, settings = rewrite(tmp_path / "f.onnx"), Int8Settings()
    matmuls = [p for p in find_matmuls(model.graph) if not is_classifier(p)]
    plans = quantize_matmuls(matmuls, {}, settings)
    quantize_graph(model, {name: plan for name, plan in plans.items() if name != left}, settings)
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    replace_graph(copy, model)
    content = content_of(copy)
    layout = make_layout(find_roles(graph_of(copy), checkpoint.config), copy / "model.onnx")
    role = left.replace("key_value", "qkv")
    assert layout["tensors"][f"{role}.weight"]["dtype"] == "float32"
    assert f"{role}.scale" not in layout["tensors"]
    writing.write_manifest(copy, {**content, "native": layout})
    texts = list(sample_texts()[:20])
    found, wanted = (answers(copy, name, texts) for name in ("native", "onnxruntime"))
    assert float(np.abs(found - wanted).mean()) < 0.03


def _look_back(graph: ir.Graph) -> None:
    node = next(n for n in graph if n.op_type == "MultiHeadAttention")
    node.attributes["unidirectional"] = ir.AttrInt64("unidirectional", 1)


def _other_activation(graph: ir.Graph) -> None:
    node = next(n for n in graph if n.op_type == "Gelu")
    copy = ir.node("Sigmoid", [node.inputs[0]])
    graph.insert_after(node, copy)
    ir.convenience.replace_all_uses_with(node.outputs[0], copy.outputs[0])


def _other_eps(graph: ir.Graph) -> None:
    node = [n for n in graph if n.op_type == "LayerNormalization"][1]
    node.attributes["epsilon"] = ir.AttrFloat32("epsilon", 1e-5)


def _no_residual(graph: ir.Graph) -> None:
    node = next(n for n in graph if n.op_type == "LayerNormalization")
    made = ir.node("Tanh", [node.outputs[0]])
    graph.insert_after(node, made)
    for use in list(node.outputs[0].uses()):
        if use.node.op_type == "Add":
            use.node.replace_input_with(use.idx, made.outputs[0])


def _last_token(graph: ir.Graph) -> None:
    node = [n for n in graph if n.op_type == "Gather" and n.attributes.get_int("axis") == 1][-1]
    index = ir.Value(
        name="last",
        const_value=ir.tensor(np.array(-1, np.int64), name="last"),
        shape=ir.Shape([]),
        type=ir.TensorType(ir.DataType.INT64),
    )
    graph.initializers["last"] = index
    node.replace_input_with(1, index)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_look_back, "reads earlier tokens only"),
        (_other_activation, "not a sum of rows"),
        (_other_eps, "differ in their layer_norm_eps"),
        (_no_residual, "the query is not a third"),
        (_last_token, "reads another token than the first"),
    ],
)
def test_another_structure_has_no_layout(workshop: Workshop, change: Any, reason: str) -> None:
    bundle = workshop.bundle("classifier", "int8")
    config, graph = Bundle.open(bundle).config, graph_of(bundle)
    find_roles(graph, config)
    change(graph)
    with pytest.raises(NoLayoutError, match=reason):
        find_roles(graph, config)


def test_a_separate_query_takes_the_smoothing_of_its_keys(workshop: Workshop) -> None:
    bundle = workshop.bundle("classifier", "int8")
    roles = find_roles(graph_of(bundle), Bundle.open(bundle).config).tensors
    saved = {t.name: t for t in onnx.load(str(bundle / "model.onnx")).graph.initializer}
    query, both = (
        onnx.numpy_helper.to_array(saved[roles[f"layer.1.{name}.smoothing"]])
        for name in ("query", "qkv")
    )
    assert np.array_equal(query, both)
