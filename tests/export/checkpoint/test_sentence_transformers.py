"""Directories of sentence-transformers: what is recorded, and what is refused by its name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.bundle import Bundle
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.sentence_transformers import SentenceModules
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import export
from tests.export.conftest import MINILM, Workshop, load

PACKAGE = "sentence_transformers.models"
MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "lasttoken")


@pytest.fixture
def directory(workshop: Workshop, tmp_path: Path) -> Path:
    """A model of sentence-transformers with its mean, as all-MiniLM-L6-v2 is."""
    return describe(Path(shutil.copytree(workshop.tiny("features"), tmp_path / "checkpoint")))


def describe(
    folder: Path,
    pooling: tuple[str, ...] = ("mean_tokens",),
    more: tuple[str, ...] = ("2_Normalize",),
    first: str = "",
) -> Path:
    paths = (first, "1_Pooling", *more)
    kinds = ("Transformer", "Pooling", *(name.partition("_")[2] for name in more))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{PACKAGE}.{kind}"}
        for i, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    write(folder / "modules.json", modules)
    settings = {f"pooling_mode_{mode}": mode in pooling for mode in MODES}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    write(folder / "1_Pooling" / "config.json", settings)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    return folder


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def find(folder: Path, task: str | None = None) -> SentenceModules | None:
    return find_checkpoint(str(folder), revision=None, task=task).modules


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        find(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_follows_the_encoder(directory: Path) -> None:
    assert find(directory) == SentenceModules(24, normalize=True)
    describe(directory, more=())
    (directory / "sentence_bert_config.json").unlink()
    assert find(directory) == SentenceModules(None, normalize=False)
    (directory / "modules.json").unlink()
    assert find(directory) is None


def test_the_real_model() -> None:
    assert find(MINILM, "feature-extraction") == SentenceModules(256, normalize=True)


@pytest.mark.parametrize(
    "pooling", [("cls_token",), ("max_tokens",), ("lasttoken",), ("cls_token", "mean_tokens")]
)
def test_another_pooling(directory: Path, pooling: tuple[str, ...]) -> None:
    message = refused(describe(directory, pooling))
    assert f"would drop the pooling {' + '.join(pooling)}" in message


@pytest.mark.parametrize("module", ["2_Dense", "3_LayerNorm", "2_CNN"])
def test_another_module(directory: Path, module: str) -> None:
    message = refused(describe(directory, more=(module,)))
    assert f"would drop {module.partition('_')[2]} ({module})" in message


def test_a_folder_for_the_encoder(directory: Path) -> None:
    describe(directory, first="0_Transformer")
    (directory / "0_Transformer").mkdir()
    (directory / "config.json").rename(directory / "0_Transformer" / "config.json")
    assert "the model in a folder of its own (0_Transformer)" in refused(directory)


def test_a_default_prompt(directory: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "passage": ""}}
    path = directory / "config_sentence_transformers.json"
    write(path, {**prompts, "default_prompt_name": None})
    found = find(directory)
    assert found is not None
    assert found.prompts == {"query": "query: "}
    assert "put its prompts before the texts yourself: query 'query: '" in found.line
    write(path, {**prompts, "default_prompt_name": "query"})
    assert "would drop the prompt 'query: '" in refused(directory)


def test_lower_case(directory: Path) -> None:
    write(directory / "sentence_bert_config.json", {"do_lower_case": True})
    assert "would drop do_lower_case" in refused(directory)


def test_a_head_does_not_ask_for_it(workshop: Workshop, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(workshop.tiny(), tmp_path / "checkpoint"))
    assert find(describe(folder, ("cls_token",))) is None


@pytest.mark.slow
def test_the_bundle_cuts_where_encode_cuts(directory: Path, tmp_path: Path) -> None:
    report = export(str(directory), tmp_path / "out", recipe="fp32")
    assert Bundle.open(report.path).max_length == 24
    line = 'as encode() of sentence-transformers with pooling="mean", normalize=True, up to 24'
    assert report.notes["embeddings"].startswith(line)
    text = "profit rose and sales fell " * 20
    loaded = load(directory)
    inputs = loaded.tokenizer(text, truncation=True, max_length=24, return_tensors="pt")
    wanted = loaded.model(**inputs).last_hidden_state[0].detach().numpy().mean(axis=0)
    embed = pipeline("feature-extraction", report.path)
    found = np.array(embed(text, truncation=True, pooling="mean", normalize=True))
    assert float(found.reshape(-1) @ wanted / np.linalg.norm(wanted)) == pytest.approx(1, abs=1e-5)
