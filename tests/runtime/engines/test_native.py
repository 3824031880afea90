"""The native engine behind ``pipeline``: chosen where it can run, told why where it cannot."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline, verify
from leanbert.bundle import Bundle
from leanbert.engines import Batch, load_engine, report_engine
from leanbert.engines.native import binding, engine, layout
from leanbert.engines.native.engine import NativeEngine
from leanbert.errors import BundleCorruptError, EngineError, InputError, VerificationError
from leanbert.tokenization import Tokenizer
from tests.helpers import native_bundles, tiny_bundles
from tests.helpers.native_library import library_path
from tests.helpers.processes import leanbert, python

TEXTS = [
    "Operating profit rose to EUR 13.1 mn.",
    "Sales fell",
    "The company said so in a report today, and the board was in the office.",
    "growth",
    "Net margin was lower in the second quarter " * 3,
]


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    """Skips everything where the library was not built, or this CPU has no kernels."""
    library_path()
    if (reason := binding.why_no_library()) is not None:
        pytest.skip(f"no native engine here: {reason}")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native_bundles.build(tmp_path_factory.mktemp("native") / "classifier")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native") / "features"
    return native_bundles.build(folder, "feature-extraction")


def scores(logits: Any) -> Any:
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def native_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = tiny_bundles.read_content(path)["native"]
    return content


def with_layout(path: Path, change: Callable[[dict[str, Any]], None], target: Path) -> Path:
    """A copy of a bundle with a changed layout."""
    copy = Path(shutil.copytree(path, target))
    content = tiny_bundles.read_content(copy)
    change(content["native"])
    tiny_bundles.reseal(copy, content)
    return copy


def test_classification_is_the_encoders(classifier: Path) -> None:
    classify = pipeline("text-classification", classifier, threads=2, top_k=None)
    assert classify.runner.engine.name == "native"
    for text, answer in zip(TEXTS, classify(TEXTS), strict=True):
        wanted = scores(native_bundles.expected("text-classification", text))
        found = {item["label"]: item["score"] for item in answer}
        np.testing.assert_allclose([found[n] for n in tiny_bundles.LABELS], wanted, atol=1e-2)
    pair = classify({"text": TEXTS[0], "text_pair": TEXTS[1]})
    wanted = scores(native_bundles.expected("text-classification", TEXTS[0], TEXTS[1]))
    assert pair[0]["score"] == pytest.approx(wanted.max(), abs=1e-2)


def test_every_token_has_its_row(features: Path) -> None:
    bundle = Bundle.open(features)
    engine = load_engine(bundle, 2)
    batch = Tokenizer.of(bundle).encode(TEXTS)
    hidden = engine.run(batch)["last_hidden_state"]
    assert hidden.shape == (len(batch.input_ids), 64)
    assert hidden.dtype == np.float32
    for rows, text in zip(batch.split(hidden), TEXTS, strict=True):
        wanted = native_bundles.expected("feature-extraction", text)
        np.testing.assert_allclose(rows, wanted, atol=8e-2)
        assert np.abs(rows - wanted).mean() < 0.02
    embed = pipeline("feature-extraction", features, pooling="mean")
    np.testing.assert_allclose(
        embed(TEXTS[0]),
        native_bundles.expected("feature-extraction", TEXTS[0]).mean(axis=0),
        atol=5e-2,
    )


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_an_answer_does_not_depend_on_its_batch(classifier: Path, mode: str) -> None:
    alone = pipeline("text-classification", classifier, threads=1, top_k=None)
    together = pipeline("text-classification", classifier, threads=2, mode=mode, top_k=None)
    texts = TEXTS * 40
    wanted = [alone([text])[0] for text in TEXTS] * 40
    assert together(texts) == wanted  # the same bits
    assert together(texts, batch_size=3) == wanted


def test_engines_are_chosen_by_name(classifier: Path, tiny_bundle: Path) -> None:
    assert load_engine(Bundle.open(classifier), 1).name == "native"
    assert load_engine(Bundle.open(classifier), 1, "onnxruntime").name == "onnxruntime"
    assert load_engine(Bundle.open(tiny_bundle), 1).name == "onnxruntime"
    with pytest.raises(EngineError, match="has no layout for it"):
        load_engine(Bundle.open(tiny_bundle), 1, "native")
    with pytest.raises(InputError, match="expected one of auto, native, onnxruntime"):
        pipeline("text-classification", tiny_bundle, engine="tensorrt")


def test_without_the_library(
    classifier: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binding, "LIBRARY", tmp_path / "libleanbert_native.so")
    bundle = Bundle.open(classifier)
    assert load_engine(bundle, 1).name == "onnxruntime"
    with pytest.raises(EngineError, match="the native library is not installed") as error:
        load_engine(bundle, 1, "native")
    assert len(str(error.value).splitlines()) == 1
    (tmp_path / "libleanbert_native.so").write_bytes(b"no library")
    binding._load.cache_clear()
    with pytest.raises(EngineError, match="cannot be loaded"):
        load_engine(bundle, 1, "native")


def test_a_library_that_lacks_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(_: object) -> None:
        raise AttributeError("undefined symbol: lb_roof")

    binding._load.cache_clear()
    monkeypatch.setattr(binding, "declare", lacking)
    try:
        assert binding.why_no_library() == (
            "the native library lacks a function (undefined symbol: lb_roof); "
            "install leanbert again"
        )
    finally:
        binding._load.cache_clear()


def test_another_interface(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binding._load.cache_clear()
    monkeypatch.setattr(binding, "ABI_VERSION", binding.ABI_VERSION + 1)
    try:
        assert load_engine(Bundle.open(classifier), 1).name == "onnxruntime"
        with pytest.raises(EngineError, match="install leanbert again"):
            pipeline(model=classifier, engine="native")
    finally:
        binding._load.cache_clear()


def test_a_cpu_without_kernels(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANBERT_ISA", "sse2")
    assert report_engine(Bundle.open(classifier)).engine == "onnxruntime"
    with pytest.raises(EngineError, match="LEANBERT_ISA"):
        load_engine(Bundle.open(classifier), 1, "native")


def test_kernels_are_named_and_can_be_forced(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANBERT_ISA", "avx2")
    engine = load_engine(Bundle.open(classifier), 1)
    assert engine.report.matmuls == "int8 weights, exact, kernels for avx2"


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = to

    return change


def _drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        for key in path[:-1]:
            table = table[key]
        del table[path[-1]]

    return change


WORD = ("tensors", "embeddings.word")
QKV = ("tensors", "layer.0.qkv.weight")
BROKEN = [
    (_set("format", to=3), "format 3 is unknown here, this LeanBERT reads 1 and 2"),
    (_set("format", to="1"), "format '1' is unknown"),
    (_set("file", to="../model.onnx.data"), "not one of the bundle's"),
    (_set("file", to=7), "not one of the bundle's"),
    (_set("more", to=1), "unknown key more"),
    (_drop("architecture"), "lacks architecture"),
    (_set("architecture", to=[]), "architecture is list"),
    (_drop("architecture", "head"), "lacks head"),
    (_set("architecture", "head", to="last"), "expected one of none"),
    (_set("architecture", "activation", to=None), "activation is None"),
    (_set("architecture", "hidden_size", to=64.0), "hidden_size is 64.0"),
    (_set("architecture", "hidden_size", to=True), "hidden_size is True"),
    (_set("architecture", "num_layers", to=10**9), r"num_layers is 1000000000, but there are \d+"),
    (_set("architecture", "num_layers", to=10**10), "num_layers is 10000000000; expected a whole"),
    (_set("architecture", "vocab_size", to=(1 << 32) + 64), "vocab_size is 4294967360; expected"),
    (_set("architecture", "layer_norm_eps", to=None), "layer_norm_eps is None; expected a number"),
    (_set("architecture", "token_type_ids", to=1), "neither true nor false"),
    (_set(*WORD, to=None), "embeddings.word is NoneType"),
    (_drop(*WORD, "offset"), "embeddings.word lacks offset"),
    (_set(*WORD, "dtype", to="float16"), "dtype is 'float16'"),
    (_set(*WORD, "shape", to=[64, "0"]), r"embeddings.word.shape\[1\] is '0'"),
    (_set(*WORD, "shape", to=[2, 2, 2]), "expected one or two sizes"),
    (_set(*WORD, "offset", to=-1), "offset is -1"),
    (_set(*WORD, "offset", to=1 << 64), "offset is 18446744073709551616; expected"),
    (_set("tensors", "layer.9.qkv.weight", to={}), "unknown tensor layer.9.qkv.weight"),
    # What the library decides, in its words.
    (
        _set("architecture", "num_attention_heads", to=8),
        "refused .the size of a head is 8: the nat",
    ),
    (_set("architecture", "vocab_size", to=9), "refused .word embedding is .* x 64, expected 9 x"),
    (_set("architecture", "vocab_size", to=1 << 30), "refused .vocab_size is 1073741824: must be"),
    (_set("architecture", "layer_norm_eps", to=float("nan")), "refused .layer_norm_eps must be 0"),
    (_drop(*WORD), "refused .word embedding is absent, expected float32"),
    (_drop(*QKV), "refused .layer 0: qkv.weight is absent, expected float32"),
    (_set(*QKV, "shape", to=[192, 64]), "refused .layer 0: qkv.weight is 192 x 64, expected 64 x"),
    (_set(*WORD, "shape", to=[64, 0]), "refused .word embedding is 64 x 0, expected"),
    (_set(*WORD, "offset", to=1 << 60), "refused .word embedding ends at byte 1152921504606846976"),
    (_set(*WORD, "bytes", to=12), "refused .word embedding has 12 bytes, its shape needs"),
    (_set("tensors", "layer.0.qkv.bias", "offset", to=2), "refused .*bias starts at byte 2, not a"),
]


@pytest.mark.parametrize(("change", "told"), BROKEN)
def test_a_layout_that_makes_no_sense(
    classifier: Path, change: Callable[[dict[str, Any]], None], told: str, tmp_path: Path
) -> None:
    broken = Bundle.open(with_layout(classifier, change, tmp_path / "broken"))
    report = load_engine(broken, 1).report
    assert report.engine == "onnxruntime"
    assert report.why_not_native is not None
    assert re.search(told, report.why_not_native)
    with pytest.raises(EngineError, match=told) as error:
        load_engine(broken, 1, "native")
    assert len(str(error.value).splitlines()) == 1
    assert report.why_not_native in str(error.value)


def test_a_pipeline_says_which_engine_computes_and_why(
    classifier: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    native = pipeline("text-classification", classifier, threads=1).engine_report
    assert native.engine == "native"
    assert native.isa == binding.native_isa()
    assert native.matmuls == f"int8 weights, exact, kernels for {native.isa}"
    assert native.why_not_native is None
    assert report_engine(Bundle.open(classifier)) == native
    asked = pipeline("text-classification", classifier, engine="onnxruntime").engine_report
    assert (asked.engine, asked.isa, asked.why_not_native) == ("onnxruntime", None, None)
    other = pipeline("text-classification", tiny_bundle).engine_report
    assert other.engine == "onnxruntime"
    assert other.why_not_native == "the bundle has no layout for it; export it again"
    assert report_engine(Bundle.open(tiny_bundle)) == other
    broken = with_layout(classifier, _set("architecture", "head", to="last"), tmp_path / "broken")
    passed_over = pipeline("text-classification", broken)
    assert "head is 'last'" in str(passed_over.engine_report)
    assert pickle.loads(pickle.dumps(passed_over)).engine_report == passed_over.engine_report  # noqa: S301
    shown = leanbert("info", broken, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "not native: its layout for the native engine is unusable (arch" in shown.stdout
    proved = leanbert("verify", broken, cwd=tmp_path)
    assert proved.returncode == 1
    assert "its layout for the native engine is unusable (arch" in proved.stderr


def test_the_layout_is_read_once_per_open(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Counted(layout.Layout):
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(engine, "Layout", Counted)
    pipeline("text-classification", classifier, threads=1)
    assert len(made) == 1
    report_engine(Bundle.open(classifier))
    assert len(made) == 2


def test_a_file_that_changes_between_opening_and_loading(classifier: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(classifier, tmp_path / "copy"))
    bundle = Bundle.open(copy)
    os.utime(copy / "model.onnx.data", ns=(0, 0))
    with pytest.raises(BundleCorruptError, match=r"model\.onnx\.data: was changed while it was"):
        load_engine(bundle, 1)


def test_inputs_that_it_refuses(classifier: Path) -> None:
    bundle = Bundle.open(classifier)
    engine = NativeEngine(bundle, 1)
    for ids, types, told in [
        ([[2, 1 << 20, 3]], None, "failed to run"),
        ([[2, -1, 3]], None, "failed to run"),
        ([[2, 5, 3]], [[0, 2, 0]], "failed to run"),
        ([[2], []], None, "failed to run"),
        ([[1] * 33], None, "failed to run"),
    ]:
        with pytest.raises(EngineError, match=told):
            engine.run(Batch.of(ids, types))
    batch = Batch.of([[2, 5, 3], [2, 3]])
    with pytest.raises(EngineError, match="failed to run"):
        engine.run(Batch(batch.input_ids, batch.token_type_ids, batch.lengths[:1]))
    assert engine.run(batch)["logits"].shape == (2, 3)


def test_arrays_that_may_not_be_written_to(classifier: Path) -> None:
    engine = NativeEngine(Bundle.open(classifier), 1)
    batch = Batch.of([[2, 5, 3], [2, 3]])
    wanted = engine.run(batch)["logits"]
    for array in (batch.input_ids, batch.token_type_ids, batch.lengths):
        array.flags.writeable = False
    assert np.array_equal(engine.run(batch)["logits"], wanted)


def test_pickling_keeps_the_engine(classifier: Path) -> None:
    for name in ("auto", "native", "onnxruntime"):
        classify = pipeline("text-classification", classifier, engine=name, threads=1)
        again = pickle.loads(pickle.dumps(classify))  # noqa: S301
        assert again.engine == name
        assert again.runner.engine.name == classify.runner.engine.name
        assert again(TEXTS) == classify(TEXTS)


def test_several_threads_at_once(classifier: Path) -> None:
    classify = pipeline("text-classification", classifier, threads=2, top_k=None)
    wanted = classify(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == wanted for found in pool.map(lambda _: classify(TEXTS), range(40)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_answers(classifier: Path, tmp_path: Path) -> None:
    script = """
import os, sys
from leanbert import pipeline
classify = pipeline("text-classification", sys.argv[1], engine="native", threads=2)
texts = ["growth", "Sales fell"] * 50
wanted = classify(texts)
child = os.fork()
if child == 0:
    os._exit(0 if classify(texts) == wanted else 3)
_, status = os.waitpid(child, 0)
assert classify(texts) == wanted
sys.exit(os.waitstatus_to_exitcode(status))
"""
    done = python(["-c", script, classifier], tmp_path)
    assert done.returncode == 0, done.stderr
    # Up to 0.22.1 the tokenizers library says that the child goes on with one thread.
    assert done.stderr == "" or done.stderr.startswith(
        "huggingface/tokenizers: The current process"
    )


def test_it_needs_no_onnxruntime(classifier: Path, tmp_path: Path) -> None:
    script = """
import sys
sys.modules["onnxruntime"] = None
from leanbert import pipeline
classify = pipeline("text-classification", sys.argv[1])
print(classify.runner.engine.name, len(classify(["growth", "Sales fell"])))
from leanbert.cli import main
main(["predict", "-m", sys.argv[1], "growth"])
main(["info", sys.argv[1]])
"""
    done = python(["-c", script, classifier], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("native 2\n")
    assert "engine here   native\n" in done.stdout


def test_the_command(classifier: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    answers = [
        leanbert("predict", "-m", classifier, "--engine", name, "growth", "--json", cwd=tmp_path)
        for name in ("auto", "native", "onnxruntime")
    ]
    auto, native, other = [json.loads(done.stdout) for done in answers]
    assert auto == native != other
    refused = leanbert("predict", "-m", tiny_bundle, "--engine", "native", "a", cwd=tmp_path)
    assert refused.returncode == 1
    assert "the native engine cannot run it: the bundle has no layout" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    doctor = json.loads(leanbert("doctor", "--json", cwd=tmp_path).stdout)
    assert doctor["engine"] == "native"
    assert doctor["native engine"].startswith(f"yes, {binding.native_isa()}")
    isa = binding.native_isa()
    wanted = f"native (int8 weights, exact, kernels for {isa})"
    assert doctor["embedded model"] == wanted
    info = leanbert("info", tiny_bundle, cwd=tmp_path).stdout
    assert "engine here   onnxruntime (not native: the bundle has no layout for it" in info


def test_verify_proves_the_engine_that_is_asked_for(classifier: Path) -> None:
    # The golden answers are those of the ONNX graph, which is another model here.
    assert verify(classifier, engine="onnxruntime").engine == "onnxruntime"
    with pytest.raises(VerificationError, match="away from PyTorch"):
        verify(classifier)
