"""The vectors and scores of the package sentence-transformers itself, where it is installed.

It writes the directories here, and LeanBERT opens what it wrote, beside the ONNX graph of the same
checkpoint. Without the package, references of our own stand in
``tests/runtime/pipelines/test_feature_extraction.py``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert_export.exporting import export
from leanbert_export.samples import sample_texts
from tests.export.conftest import MINILM, Workshop
from tests.helpers.sentence_directories import cosine

st = pytest.importorskip(
    "sentence_transformers", reason="needs pip install sentence-transformers to compare with"
)
import torch  # noqa: E402 - after the package that may be missing
from torch import nn  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TEXTS = [*sample_texts()[::12], "", "profit rose and sales fell " * 60]
PROMPTS = {"query": "find what answers: ", "passage": "passage: "}
WIDTH = 32


@pytest.fixture(scope="module")
def models() -> Any:
    """The modules under their names of this version."""
    return pytest.importorskip("sentence_transformers.models")


@pytest.fixture
def both(workshop: Workshop, tmp_path: Path, models: Any) -> Callable[..., tuple[Any, Any]]:
    """A model of sentence-transformers, and the pipeline of the directory that it saves."""

    def make(modules: list[Any], longest: int = 48, **options: Any) -> tuple[Any, Any]:
        transformer = models.Transformer(str(workshop.tiny("features")), max_seq_length=longest)
        theirs = st.SentenceTransformer(modules=[transformer, *modules], device="cpu", **options)
        folder = tmp_path / "saved"
        theirs.save(str(folder))
        bundle = workshop.bundle("features", "fp32")
        for name in ("model.onnx", "model.onnx.data"):
            shutil.copy(bundle / name, folder / name)
        return theirs, pipeline("feature-extraction", folder, truncation=True)

    return make


def check(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    for our, their in zip(ours, theirs, strict=True):
        assert not their.any() or cosine(our, their) > 0.9999  # ReLU may leave zeros alone
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize(
    "mode",
    [
        *("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"),
        ("weightedmean", "cls", "max"),
    ],
)
def test_every_pooling(
    both: Callable[..., tuple[Any, Any]], models: Any, mode: Any, include_prompt: bool
) -> None:
    pooling = models.Pooling(WIDTH, pooling_mode=mode, include_prompt=include_prompt)
    theirs, ours = both([pooling], prompts=PROMPTS)
    check(ours(TEXTS), theirs.encode(TEXTS))
    check(ours(TEXTS, prompt_name="query"), theirs.encode(TEXTS, prompt_name="query"))
    check(ours(TEXTS, prompt="Say: "), theirs.encode(TEXTS, prompt="Say: "))


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.Identity(), nn.ReLU(), nn.Sigmoid()])
@pytest.mark.parametrize("width", [20, WIDTH])
def test_layers(
    both: Callable[..., tuple[Any, Any]], models: Any, activation: Any, width: int
) -> None:
    torch.manual_seed(3)
    dense = models.Dense(WIDTH, width, activation_function=activation, use_residual=width == WIDTH)
    modules = [models.Pooling(WIDTH, pooling_mode="mean"), dense, models.Normalize()]
    theirs, ours = both(modules, truncate_dim=11)
    check(ours(TEXTS), theirs.encode(TEXTS))
    check(ours(TEXTS, truncate_dim=5), theirs.encode(TEXTS, truncate_dim=5))
    check(
        ours(TEXTS, normalize_embeddings=True),
        theirs.encode(TEXTS, normalize_embeddings=True),
    )


def test_a_residual_of_another_width_and_a_layer_norm(
    both: Callable[..., tuple[Any, Any]], models: Any
) -> None:
    torch.manual_seed(3)
    modules = [
        models.Pooling(WIDTH, pooling_mode="cls"),
        models.Dropout(0.5),
        models.Dense(WIDTH, 12, use_residual=True),
        models.LayerNorm(12),
    ]
    theirs, ours = both(modules)
    check(ours(TEXTS), theirs.encode(TEXTS))


def test_a_default_prompt(both: Callable[..., tuple[Any, Any]], models: Any) -> None:
    theirs, ours = both(
        [models.Pooling(WIDTH)],
        prompts=PROMPTS,
        default_prompt_name="passage",
        similarity_fn_name="dot",
    )
    check(ours(TEXTS), theirs.encode(TEXTS))
    check(ours(TEXTS, prompt_name="document"), theirs.encode(TEXTS, prompt_name="document"))
    assert ours.modules.similarity_fn_name == theirs.similarity_fn_name == "dot"


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The real all-MiniLM-L6-v2 in both."""
    folder = tmp_path_factory.mktemp("minilm") / "bundle"
    export(str(MINILM), folder, recipe="fp32", task="feature-extraction", texts=TEXTS[:9])
    theirs = st.SentenceTransformer(str(MINILM), device="cpu")
    return theirs, pipeline("feature-extraction", folder, truncation=True)


def test_the_real_model(minilm: tuple[Any, Any]) -> None:
    theirs, ours = minilm
    check(ours(TEXTS), theirs.encode(TEXTS))
    check([ours(TEXTS[0])], [theirs.encode(TEXTS[0])])
    check(ours(TEXTS, truncate_dim=64), theirs.encode(TEXTS, truncate_dim=64))


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_precisions(minilm: tuple[Any, Any], precision: str) -> None:
    theirs, ours = minilm
    found = ours(TEXTS, precision=precision, return_tensors="np")
    wanted = theirs.encode(TEXTS, precision=precision)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if precision.endswith("binary"):
        bits = [np.unpackbits(numbers.astype(np.uint8)) for numbers in (found, wanted)]
        assert np.mean(bits[0] == bits[1]) > 0.999
    else:  # a value that lies at the edge of a step may fall to either side
        assert np.abs(found.astype(float) - wanted.astype(float)).max() <= 1
        assert np.mean(np.isclose(found, wanted, atol=1e-5)) > 0.99
    vectors, few = theirs.encode(TEXTS), theirs.encode(TEXTS[:9])
    from leanbert.pipelines.embeddings import quantize_embeddings

    np.testing.assert_array_equal(
        quantize_embeddings(vectors, precision, calibration_embeddings=few),
        st.util.quantize_embeddings(vectors, precision, calibration_embeddings=few),
    )


@pytest.mark.parametrize("name", ["sigmoid", "identity", "tanh"])
def test_a_cross_encoder_ranks(workshop: Workshop, tmp_path: Path, name: str) -> None:
    functions = {"sigmoid": None, "identity": nn.Identity(), "tanh": nn.Tanh()}
    theirs = st.CrossEncoder(
        str(workshop.tiny("one-label")),
        activation_fn=functions[name],
        max_length=40,
        prompts=PROMPTS,
        device="cpu",
    )
    folder = tmp_path / "saved"
    theirs.save(str(folder))
    bundle = workshop.bundle("one-label", "fp32")
    for file in ("model.onnx", "model.onnx.data"):
        shutil.copy(bundle / file, folder / file)
    ours: Any = pipeline("text-ranking", folder, truncation=True)
    query = {"query": "profit rose", "documents": TEXTS}
    for options in ({}, {"top_k": 4}, {"return_documents": True}, {"prompt_name": "query"}):
        found = ours(query, **options)
        wanted = theirs.rank("profit rose", TEXTS, **options)
        assert [row["corpus_id"] for row in found] == [row["corpus_id"] for row in wanted]
        for our, their in zip(found, wanted, strict=True):
            assert our["score"] == pytest.approx(their["score"], abs=1e-5)
            assert our.get("text") == their.get("text")
    pairs = [("profit rose", text) for text in TEXTS]
    np.testing.assert_allclose(ours(pairs), theirs.predict(pairs), atol=1e-5)
