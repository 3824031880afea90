"""The native engine's layout: what it says of the graph, and that both engines answer alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from leanbert import verify
from leanbert.bundle import MANIFEST, Bundle
from leanbert.engines import load_engine, report_engine
from leanbert.engines.native.binding import why_no_library
from leanbert.engines.outputs import task_output
from leanbert.tokenization import Tokenizer
from leanbert_export import writing
from leanbert_export.architectures.describing import describe
from leanbert_export.architectures.description import Encoder, Rotary
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.exporting import export
from leanbert_export.graph.saving import replace_graph
from leanbert_export.int8.quantization import quantize_graph
from leanbert_export.int8.weights import quantize_matmuls
from leanbert_export.layout import sealing
from leanbert_export.layout.architecture import NoLayoutError, architecture_of
from leanbert_export.layout.places import make_layout
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


def tensor_of(bundle: Path, role: str) -> npt.NDArray[Any]:
    """What the layout says of a role, read from the weights file alone."""
    layout = manifest_of(bundle)["native"]
    entry = layout["tensors"][role]
    start, end = entry["offset"], entry["offset"] + entry["bytes"]
    data = (bundle / layout["file"]).read_bytes()[start:end]
    found: npt.NDArray[Any] = np.frombuffer(data, entry["dtype"]).reshape(entry["shape"])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_where_the_layout_says(workshop: Workshop, kind: str) -> None:
    """A role's tensor is the initializer of that name, quantized and corrected or not."""
    bundle = workshop.bundle(kind, "int8")
    layout = manifest_of(bundle)["native"]
    saved = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in onnx.load(str(bundle / "model.onnx")).graph.initializer
    }
    used = set()
    for role, entry in layout["tensors"].items():
        found = tensor_of(bundle, role)
        names = [name for name, array in saved.items() if array.tobytes() == found.tobytes()]
        place, _, part = role.rpartition(".")
        places = (place, place.replace("qkv", "key_value"))  # of the last layer's
        assert any(name.startswith(places) for name in names)
        assert entry["offset"] % found.itemsize == 0
        assert part != "weight" or str(found.dtype) in ("int8", "float32")
        used.update(names)
    large = {n for n, a in saved.items() if a.dtype in (np.float32, np.int8) and a.size > 8}
    assert large <= used  # no weight of the graph is unknown to the native engine


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


FEW: dict[str, Any] = {"texts": list(sample_texts()[:40:2]), "calibration": sample_texts()[::5]}


def test_a_layout_that_answers_wrongly_is_dropped(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native_or_skip()

    def exchanged(*arguments: Any) -> dict[str, Any]:
        layout = make_layout(*arguments)
        tensors = layout["tensors"]
        one, other = "layer.0.ffn_norm.gamma", "layer.0.ffn_norm.beta"
        tensors[one], tensors[other] = tensors[other], tensors[one]
        return layout

    monkeypatch.setattr(sealing, "make_layout", exchanged)
    report = export(str(workshop.tiny()), tmp_path / "out", **FEW)
    assert report.native.startswith("no, golden text 0 (")
    assert len(report.native.splitlines()) == 1
    assert "native" not in manifest_of(report.path)


def test_without_the_library_the_layout_stands_untried(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "why_no_library", lambda: "it is not installed")
    report = export(str(workshop.tiny()), tmp_path / "out", **FEW)
    assert report.native == "yes, but not tried by the export: it is not installed"
    assert manifest_of(report.path)["native"]["file"] == "model.onnx.data"


@pytest.mark.parametrize(
    "left", ["layer.0.qkv", "layer.0.ffn_up", "layer.1.query", "layer.1.key_value", "head.dense"]
)
def test_a_matmul_in_fp32(workshop: Workshop, tmp_path: Path, left: str) -> None:
    """As the accuracy gate leaves one: its weights are float32 in the layout too."""
    native_or_skip()
    final, settings = workshop.final("classifier"), Int8Settings()
    plans = quantize_matmuls(final.matmuls, {}, settings)
    quantize_graph(final, {name: plan for name, plan in plans.items() if name != left}, settings)
    copy = Path(shutil.copytree(workshop.bundle("classifier", "int8"), tmp_path / "copy"))
    replace_graph(copy, final.model)
    content = content_of(copy)
    encoder = describe(load(workshop.tiny()))
    layout = make_layout(encoder, final.roles, copy / "model.onnx")
    role = left.replace("key_value", "qkv")
    assert layout["tensors"][f"{role}.weight"]["dtype"] == "float32"
    assert f"{role}.scale" not in layout["tensors"]
    writing.write_manifest(copy, {**content, "native": layout})
    texts = list(sample_texts()[:20])
    found, wanted = (answers(copy, name, texts) for name in ("native", "onnxruntime"))
    assert float(np.abs(found - wanted).mean()) < 0.03


def _other_eps(encoder: Encoder) -> Encoder:
    norm = replace(encoder.embeddings.norm, eps=1e-5)
    return replace(encoder, embeddings=replace(encoder.embeddings, norm=norm))


def _window(encoder: Encoder) -> Encoder:
    *others, last = encoder.layers
    changed = replace(last, attention=replace(last.attention, window=0))
    return replace(encoder, layers=[*others, changed])


def _rotary(encoder: Encoder) -> Encoder:
    *others, last = encoder.layers
    rotary = Rotary(1e4, np.ones(8, np.float32))
    changed = replace(last, attention=replace(last.attention, rotary=rotary))
    return replace(encoder, layers=[*others, changed])


def _scale(encoder: Encoder) -> Encoder:
    *others, last = encoder.layers
    changed = replace(last, attention=replace(last.attention, scale=0.3))
    return replace(encoder, layers=[*others, changed])


def _no_positions(encoder: Encoder) -> Encoder:
    return replace(encoder, embeddings=replace(encoder.embeddings, position=None))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_other_eps, "the norms differ in their eps"),
        (_window, "a token attends to itself alone"),
        (_no_positions, "neither embeddings nor attention know positions"),
        (_rotary, "its positions are both learned and rotary"),
        (_scale, "attention has another scale than the root of its heads' width"),
    ],
)
def test_another_structure_has_no_layout(workshop: Workshop, change: Any, reason: str) -> None:
    encoder = describe(load(workshop.tiny()))
    assert architecture_of(encoder)["head"] == "first_token"
    with pytest.raises(NoLayoutError, match=f"^{reason}$"):
        architecture_of(change(encoder))


def test_a_traced_graph_has_no_layout(workshop: Workshop) -> None:
    content = content_of(workshop.bundle("classifier", "int8"))
    line = sealing.seal_with_layout(workshop.bundle("classifier", "int8"), content, None, {})
    assert line == "no, the architecture is traced and not described"
    assert "native" not in content


def test_a_separate_query_takes_the_smoothing_of_its_keys(workshop: Workshop) -> None:
    bundle = workshop.bundle("classifier", "int8")
    query, both = (tensor_of(bundle, f"layer.1.{name}.smoothing") for name in ("query", "qkv"))
    assert np.array_equal(query, both)
