"""``verify`` checks everything that a manifest says, on every engine that can run here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from leanbert import verify
from leanbert.bundle import Bundle
from leanbert.cli import main
from leanbert.engines.native.binding import why_no_library
from leanbert.errors import (
    BundleError,
    EngineError,
    InputError,
    VerificationError,
)
from leanbert.pipelines import embedded_bundle
from tests.helpers import native_bundles
from tests.helpers.tiny_bundles import GOLDEN, read_content, reseal

needs_native = pytest.mark.skipif(why_no_library() is not None, reason=str(why_no_library()))


def test_the_tiny_bundles_are_proved(tiny_bundle: Path, tiny_features: Path) -> None:
    for folder in (tiny_bundle, tiny_features):
        found = verify(folder, threads=1)
        assert found.path == folder
        assert found.files == 3
        assert found.golden_texts == len(GOLDEN)
        assert 0 <= found.max_difference <= found.atol == 1e-5
        assert found.engine == "onnxruntime"
        assert [proof.engine for proof in found.proofs] == ["onnxruntime"]
        assert "native" in found.not_run


@pytest.mark.parametrize("index", range(len(GOLDEN)))
@pytest.mark.parametrize("change", [2e-5, -0.5, float("nan")])
def test_another_answer_is_noticed(
    bundle_copy: Path, index: int, change: float, capsys: pytest.CaptureFixture[str]
) -> None:
    content = read_content(bundle_copy)
    content["golden"]["texts"][index]["reference"][1] += change
    reseal(bundle_copy, content)
    with pytest.raises(VerificationError) as caught:
        verify(bundle_copy)
    assert f"golden text {index}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert main(["verify", str(bundle_copy)]) == 1
    assert re.fullmatch(r"leanbert: .*golden text.*\n", capsys.readouterr().err)


def test_an_answer_of_another_shape_is_noticed(bundle_copy: Path) -> None:
    content = read_content(bundle_copy)
    content["golden"]["texts"][2]["reference"].pop()
    reseal(bundle_copy, content)
    with pytest.raises(VerificationError, match="golden text 2: 3 values instead of 2"):
        verify(bundle_copy)


def test_nothing_to_verify(bundle_copy: Path) -> None:
    content = read_content(bundle_copy)
    content["golden"]["texts"] = []
    reseal(bundle_copy, content)
    with pytest.raises(BundleError, match="no golden texts"):
        verify(bundle_copy)


def test_golden_answers_that_are_all_a_little_off(bundle_copy: Path) -> None:
    content = read_content(bundle_copy)
    for item in content["golden"]["texts"]:
        item["reference"] = [value + 0.02 for value in item["reference"]]
    content["golden"] |= {"atol": 0.05, "mean_atol": 0.01}
    reseal(bundle_copy, content)
    with pytest.raises(VerificationError, match="on average"):
        verify(bundle_copy)
    content["golden"]["mean_atol"] = 0.03
    reseal(bundle_copy, content)
    assert verify(bundle_copy).mean_difference == pytest.approx(0.02, abs=1e-3)


@needs_native
def test_the_embedded_bundle_is_proved_on_both_engines(capsys: pytest.CaptureFixture[str]) -> None:
    found = verify(embedded_bundle(), threads=1)
    assert [proof.engine for proof in found.proofs] == ["native", "onnxruntime"]
    assert found.not_run == {}
    assert found.max_difference == max(proof.max_difference for proof in found.proofs)
    assert set(found.checked) == {"operators", "max_length", "labels", "native layout"}
    assert set(found.unchecked) == {"source", "evidence", "versions"}
    assert main(["verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert [line.split(":")[0] for line in lines[1:3]] == ["  native", "  onnxruntime"]
    assert lines[3] == "  as the manifest says: operators, max_length, labels, native layout"
    assert lines[4].startswith("  not checked: source, evidence, versions (")


@needs_native
def test_one_engine_that_answers_otherwise_is_noticed(tmp_path: Path) -> None:
    """The graph gives the golden answers, and the layout is another model's."""
    folder = native_bundles.build(tmp_path / "bundle")
    with pytest.raises(VerificationError, match=r"golden text 0 .* on the native engine"):
        verify(folder)
    assert verify(folder, engine="onnxruntime").engine == "onnxruntime"


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ({}, "format"),
        ({"format": 1}, "lacks"),
        ({"format": 1, "file": "x", "architecture": {}, "tensors": {}}, "not one of the bundle"),
    ],
)
def test_a_layout_that_is_unusable_is_no_layout(
    bundle_copy: Path, native: dict[str, Any], reason: str
) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "native": native})
    with pytest.raises(VerificationError, match=f"native engine is unusable .*{reason}"):
        verify(bundle_copy)


@needs_native
def test_a_layout_that_the_library_refuses(tmp_path: Path) -> None:
    folder = native_bundles.build(tmp_path / "bundle")
    content = read_content(folder)
    content["native"]["architecture"]["hidden_size"] += 1
    reseal(folder, content)
    with pytest.raises(EngineError, match="the native engine cannot run it"):
        verify(folder)


def test_a_layout_of_another_time_is_told(bundle_copy: Path) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "native": {"format": 3}})
    found = verify(bundle_copy, threads=1)
    assert found.engine == "onnxruntime"
    assert "newer" in found.unchecked["native layout"]
    assert "newer" in found.not_run["native"]


def relabel(folder: Path, labels: list[str]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["id2label"] = {str(i): label for i, label in enumerate(labels)}
    path.write_text(json.dumps(config), encoding="utf-8")


def test_labels_that_were_renamed(bundle_copy: Path) -> None:
    assert "labels" in verify(bundle_copy, threads=1).unchecked
    content = read_content(bundle_copy)
    content["card"]["labels"] = Bundle.open(bundle_copy).config.labels_in_order
    reseal(bundle_copy, content)
    assert "labels" in verify(bundle_copy, threads=1).checked
    relabel(bundle_copy, ["negative", "positive", "neutral"])
    reseal(bundle_copy, content)
    with pytest.raises(VerificationError, match="the labels are '0 positive, 1 negative"):
        verify(bundle_copy)


@pytest.mark.parametrize("count", [1, 3])
def test_operators_that_are_not_there(bundle_copy: Path, count: int) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "operators": {"Gather": count}})
    with pytest.raises(VerificationError, match=f"{count} operators 'Gather', model.onnx has 2"):
        verify(bundle_copy)


def test_a_length_beyond_the_models(bundle_copy: Path) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "max_length": 33})
    with pytest.raises(VerificationError, match=r"max_length is 33, config\.json allows 32"):
        verify(bundle_copy)


def test_outputs_that_are_no_tasks(bundle_copy: Path) -> None:
    path = bundle_copy / "model.onnx"
    model = onnx.load(str(path))
    model.graph.node[-1].output[0] = model.graph.output[0].name = "answers"
    onnx.save(model, str(path))
    reseal(bundle_copy, read_content(bundle_copy))
    with pytest.raises(VerificationError, match="outputs are not those of text-classification"):
        verify(bundle_copy)


def test_an_engine_that_nobody_knows(tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="engine is 'gpu'"):
        verify(tiny_bundle, engine="gpu")


def test_no_engine_at_all(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leanbert.verification.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"no engine can run here .*onnxruntime is not installed"):
        verify(tiny_bundle)
