"""The embeddings of a bundle are those of its checkpoint in PyTorch, or the export ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from leanbert.bundle import Bundle
from leanbert.pipelines.embeddings import Embedder
from leanbert.tokenization import TextInput
from leanbert_export.errors import ProofError
from leanbert_export.proof.embeddings import check_embeddings
from leanbert_export.writing import write_parts
from tests.export.conftest import Workshop, load
from tests.helpers.sentence_directories import (
    FLAGS,
    describe,
    write_dense,
    write_json,
    write_tensors,
)

TEXTS: list[TextInput] = [
    "",
    "profit rose",
    "a bad loss in the quarter",
    ("the company", "said so"),
]


def bundle_of(workshop: Workshop, source: Path, folder: Path) -> Bundle:
    """What the export writes beside a graph."""
    folder.mkdir()
    write_parts(load(source), folder)
    for path in workshop.bundle("features").glob("model.onnx*"):
        shutil.copyfile(path, folder / path.name)
    return Bundle.open(folder)


@pytest.fixture
def source(workshop: Workshop, tmp_path: Path) -> Path:
    """A checkpoint with a layer of each kind."""
    folder = Path(shutil.copytree(workshop.tiny("features"), tmp_path / "checkpoint"))
    steps = ("2_Dense", "3_Dense", "4_LayerNorm", "5_Normalize")
    describe(folder, tuple(FLAGS), steps)
    write_dense(folder / "2_Dense", 32 * len(FLAGS), 20, "Sigmoid", residual=True)
    write_dense(folder / "3_Dense", 20, 20, "ReLU", residual=True)
    tensors = {"norm.weight": np.linspace(0.5, 2, 20), "norm.bias": np.linspace(-1, 1, 20)}
    write_json(folder / "4_LayerNorm/config.json", {"dimension": 20})
    write_tensors(folder / "4_LayerNorm/model.safetensors", tensors)
    return folder


def test_every_step(workshop: Workshop, source: Path, tmp_path: Path) -> None:
    bundle = bundle_of(workshop, source, tmp_path / "bundle")
    assert check_embeddings(bundle, load(source), TEXTS) == 3


def test_other_weights(workshop: Workshop, source: Path, tmp_path: Path) -> None:
    bundle = bundle_of(workshop, source, tmp_path / "bundle")
    shutil.rmtree(source / "3_Dense")
    write_dense(source / "3_Dense", 20, 20, "Tanh", residual=True)
    weights = np.eye(20)
    write_tensors(
        source / "3_Dense/model.safetensors",
        {"linear.weight": weights, "linear.bias": np.zeros(20)},
    )
    with pytest.raises(ProofError, match="embeddings: that of 'profit rose'"):
        check_embeddings(bundle, load(source), TEXTS)


def test_another_embedding(
    workshop: Workshop, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(workshop, source, tmp_path / "bundle")
    honest = Embedder.embed
    for change in (lambda x: x + np.float32(0.001), lambda x: x[:-1], lambda x: x * np.nan):
        monkeypatch.setattr(
            Embedder, "embed", lambda self, *given, change=change: change(honest(self, *given))
        )
        with pytest.raises(ProofError, match="embeddings: that of 'profit rose'"):
            check_embeddings(bundle, load(source), TEXTS)


def test_where_there_are_none(workshop: Workshop, tmp_path: Path) -> None:
    bundle = bundle_of(workshop, workshop.tiny("features"), tmp_path / "bundle")
    assert check_embeddings(bundle, load(workshop.tiny("features")), TEXTS) == 0
