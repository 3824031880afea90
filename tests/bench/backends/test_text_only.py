"""Back ends that take texts alone, and peers that are not installed."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from leanbert.bundle.config import parse_config
from leanbert_bench.backends import REGISTRY, Model, backend_class
from leanbert_bench.backends.llama_cpp import CONVERTER, LlamaCppQ8
from leanbert_bench.backends.transformers_js import TransformersJsQ8, node_folder
from leanbert_bench.backends.zentorch import ZenTorch
from tests.helpers.bench_fakes import TextsAlone
from tests.helpers.bench_models import checkpoint, write_tokenizer

if TYPE_CHECKING:
    from leanbert.bundle import ModelConfig

LABELS = {"0": "negative", "1": "neutral", "2": "positive"}


def config(model_type: str = "bert") -> ModelConfig:
    return parse_config({"model_type": model_type, "id2label": LABELS}, Path("config.json"))


def test_rows_come_back_in_the_order_of_the_texts(tmp_path: Path) -> None:
    backend = TextsAlone(Model(tmp_path, None, "feature-extraction", 1))
    found = backend.scores_of_texts(["a", "bbb", "cc"], [[2, 0], [1]])
    assert found.tolist() == [[1.0, 2.0, 0.0], [3.0, 1.0, 0.0], [2.0, 2.0, 0.0]]


def test_no_ids_are_taken(tmp_path: Path) -> None:
    backend = TextsAlone(Model(tmp_path, None, "feature-extraction", 1))
    with pytest.raises(NotImplementedError, match="Texts alone takes texts, not token ids"):
        backend.forward({"input_ids": np.zeros((1, 1), np.int64)})


def test_lengths_are_those_of_the_checkpoints_tokenizer(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model")
    write_tokenizer(model)
    backend = TextsAlone(Model(model, None, "feature-extraction", 1))
    [short, long] = backend.tokenize(["good", "good " * 1000])
    assert short == [7]
    assert len(long) == min(backend.config.max_tokens or 512, 512)


@pytest.mark.parametrize("id_", list(REGISTRY))
def test_every_back_end_says_what_it_is_without_its_library(id_: str) -> None:
    kind = backend_class(REGISTRY[id_])
    assert kind.name
    assert kind.arrangement
    assert kind.tasks
    assert not kind.takes_ids or kind.forward.__qualname__ != "TextOnlyBackend.forward"


def test_node_and_its_package_are_named_if_they_are_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert TransformersJsQ8.why_not(config()) == "needs node on PATH"
    program(tmp_path / "node", "")
    assert TransformersJsQ8.why_not(config()) == (
        f"needs its package: npm install --prefix {node_folder()} @huggingface/transformers"
    )
    (node_folder() / "node_modules" / "@huggingface" / "transformers").mkdir(parents=True)
    assert TransformersJsQ8.why_not(config()) is None


def test_llama_cpps_converter_is_named_if_it_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CONVERTER, raising=False)
    assert LlamaCppQ8.why_not(config("deberta-v2")) == "llama.cpp has no encoder of deberta-v2"
    assert "let LEANBERT_LLAMA_CPP name a checkout" in str(LlamaCppQ8.why_not(config()))
    (tmp_path / "convert_hf_to_gguf.py").touch()
    monkeypatch.setenv(CONVERTER, str(tmp_path))
    assert LlamaCppQ8.why_not(config()) is None


def test_zentorch_wants_avx_512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leanbert_bench.backends.zentorch.isa_flags", lambda: ("avx2",))
    assert ZenTorch.why_not(config()) == "zentorch needs a CPU with AVX-512"
    monkeypatch.setattr("leanbert_bench.backends.zentorch.isa_flags", lambda: ("avx512f",))
    assert ZenTorch.why_not(config()) is None


NODE = f"""#!{sys.executable}
import json, sys
for line in sys.stdin:
    texts = json.loads(line).get("texts")
    answers = [dict(label="positive", score=0.75), dict(label="negative", score=0.25)]
    print(json.dumps({{"rows": [answers] * len(texts)}} if texts else {{}}), flush=True)
    if texts == ["stop"]:
        break
"""


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_answers_of_a_node_process_are_put_in_the_labels_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "node", NODE)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    about: dict[str, Any] = {"model_type": "bert", "id2label": LABELS}
    (tmp_path / "config.json").write_text(json.dumps(about))
    backend = TransformersJsQ8(Model(tmp_path, None, "text-classification", 1))
    backend.load()
    assert np.asarray(backend.answer(["a", "b"])).tolist() == [[0.25, 0, 0.75]] * 2
    assert backend.threads_set == {"session_options.intraOpNumThreads": 1}
    backend.answer(["stop"])
    with pytest.raises((RuntimeError, BrokenPipeError)):
        backend.answer(["a"])
