"""``feature-extraction`` of a directory of sentence-transformers, beside a reference in numpy."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.cli import main
from leanbert.errors import BundleCorruptError, InputError, LeanBertWarning
from leanbert.pipelines.embeddings import quantize_embeddings
from tests.helpers.sentence_directories import (
    FLAGS,
    dense,
    describe,
    pooled,
    write_dense,
    write_json,
    write_tensors,
)
from tests.helpers.tiny_bundles import Tiny, reference

pytestmark = pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
TEXTS = ["profit rose", "the company said", "bad loss in the quarter", ""]
PROMPTS = {"prompts": {"query": "growth: ", "long": "the strong company said "}}
ATOL = 1e-5


@pytest.fixture
def model(make_bundle: Callable[..., Path]) -> Callable[..., Any]:
    """A pipeline of a plain export with the files of sentence-transformers."""

    def make(change: Callable[[Path], object] = lambda _: None, **options: Any) -> Any:
        folder = make_bundle(task="feature-extraction", manifest=False)
        describe(folder, **options)
        change(folder)
        return pipeline("feature-extraction", folder, threads=1)

    return make


def hidden(text: str) -> Any:
    """The tokens' vectors in double precision."""
    return np.asarray(reference(Tiny(task="feature-extraction"), text), float)


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("mode", FLAGS)
def test_each_pooling(model: Callable[..., Any], mode: str) -> None:
    embed = model(pooling=(mode,), steps=())
    for text, found in zip(TEXTS, embed(TEXTS), strict=True):
        np.testing.assert_allclose(found, pooled(hidden(text), mode), atol=ATOL)
        assert embed(text, pooling=mode) == embed(text)


def test_poolings_are_concatenated(model: Callable[..., Any]) -> None:
    embed = model(pooling=("mean", "cls"), steps=("2_Normalize",))
    for text, found in zip(TEXTS, embed(TEXTS), strict=True):
        parts = [pooled(hidden(text), mode) for mode in ("cls", "mean")]
        np.testing.assert_allclose(found, unit(np.concatenate(parts)), atol=ATOL)


@pytest.mark.parametrize("name", ["Tanh", "Identity", "ReLU", "Sigmoid"])
def test_a_dense_layer(model: Callable[..., Any], name: str) -> None:
    width = hidden("x").shape[1]
    weights: dict[str, Any] = {}
    embed = model(
        lambda folder: weights.update(write_dense(folder / "2_Dense", width, 5, name)),
        steps=("2_Dense", "3_Normalize"),
    )
    for text, found in zip(TEXTS, embed(TEXTS), strict=True):
        wanted = unit(dense(pooled(hidden(text), "mean"), weights, name))
        np.testing.assert_allclose(found, wanted, atol=ATOL)


@pytest.mark.parametrize("outputs", [3, None])
def test_a_residual_and_a_normalized_layer(model: Callable[..., Any], outputs: int | None) -> None:
    width = hidden("x").shape[1]
    outputs = outputs or width
    gamma, beta = np.linspace(0.5, 2, outputs), np.linspace(-1, 1, outputs)
    weights: dict[str, Any] = {}

    def change(folder: Path) -> None:
        weights.update(write_dense(folder / "2_Dense", width, outputs, residual=True))
        tensors = {"norm.weight": gamma, "norm.bias": beta}
        write_tensors(folder / "3_LayerNorm/model.safetensors", tensors)

    embed = model(change, steps=("2_Dense", "3_LayerNorm"))
    for text in TEXTS:
        vector = pooled(hidden(text), "mean")
        straight = weights["residual.weight"] @ vector if outputs != width else vector
        sums = dense(vector, weights) + straight
        scaled = (sums - sums.mean()) / np.sqrt(sums.var() + 1e-5)
        np.testing.assert_allclose(embed(text), scaled * gamma + beta, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: None, "missing; Dense needs its weights as safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "not a safetensors"),
        (
            lambda folder: write_tensors(
                folder / "model.safetensors", {"weight": np.zeros((2, 2))}
            ),
            "its tensors are not those of a Dense",
        ),
        (
            lambda folder: write_tensors(
                folder / "model.safetensors",
                {"linear.weight": np.zeros((4, 2)), "linear.bias": np.zeros(3)},
            ),
            "its tensors are not those of a Dense",
        ),
    ],
)
def test_weights_that_do_not_fit(
    model: Callable[..., Any], change: Callable[[Path], object], said: str
) -> None:
    with pytest.raises(BundleCorruptError, match=said):
        model(lambda folder: change(make(folder / "2_Dense")), steps=("2_Dense",))


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_weights_of_another_width(model: Callable[..., Any]) -> None:
    embed = model(lambda folder: write_dense(folder / "2_Dense", 7, 5), steps=("2_Dense",))
    with pytest.raises(BundleCorruptError, match="takes vectors of 7 numbers, the pooling gives"):
        embed("a text")


def test_prompts(model: Callable[..., Any]) -> None:
    embed = model(steps=(), settings=PROMPTS)
    text = TEXTS[2]
    assert embed(text) == embed(text, prompt_name="document") == embed(text, prompt="")
    behind = embed("growth: " + text)
    assert behind != embed(text)
    assert embed(text, prompt_name="query") == behind == embed(text, prompt="growth: ")
    for found in embed([text, "rose"], prompt_name="query")[:1]:
        np.testing.assert_allclose(found, behind, atol=ATOL)
    assert embed(text, prompt="growth: ", pooling="mean") == behind
    pair = {"text": text, "text_pair": "the market"}
    assert embed(pair, prompt_name="query") == embed({**pair, "text": "growth: " + text})
    with pytest.warns(LeanBertWarning, match="prompt_name is ignored"):
        assert embed(text, prompt="growth: ", prompt_name="long") == behind
    with pytest.raises(InputError, match="'web'; expected one of query, document, long"):
        embed(text, prompt_name="web")
    with pytest.raises(InputError, match="prompt is 5; expected a string"):
        embed(text, prompt=5)


def test_a_default_prompt(model: Callable[..., Any]) -> None:
    embed = model(steps=(), settings={**PROMPTS, "default_prompt_name": "query"})
    plain = embed(TEXTS[2], prompt="")
    assert embed(TEXTS[2]) == embed("growth: " + TEXTS[2], prompt="") != plain
    assert embed(TEXTS[2], prompt_name="document") == plain
    assert embed(TEXTS[2], pooling="mean") == plain, "a pooling of one's own has no prompt"
    assert embed(TEXTS[2], pooling=None)[0] == pytest.approx(hidden(TEXTS[2]), abs=ATOL)


@pytest.mark.parametrize("mode", FLAGS)
def test_a_prompt_that_is_not_pooled(model: Callable[..., Any], mode: str) -> None:
    embed = model(pooling={FLAGS[mode]: True, "include_prompt": False}, steps=(), settings=PROMPTS)
    prompt, text = PROMPTS["prompts"]["long"], TEXTS[2]
    skipped = len(hidden(prompt)) - 1  # all but the last special token
    wanted = pooled(hidden(prompt + text), mode, skipped)
    np.testing.assert_allclose(embed(text, prompt_name="long"), wanted, atol=ATOL)
    np.testing.assert_allclose(embed(text), pooled(hidden(text), mode), atol=ATOL)


def test_truncate_dim(model: Callable[..., Any]) -> None:
    embed = model(settings={"truncate_dim": 6})
    whole = embed(TEXTS, truncate_dim=1000, return_tensors="np")
    assert whole.shape == (4, hidden("x").shape[1])
    np.testing.assert_array_equal(embed(TEXTS, return_tensors="np"), whole[:, :6])
    np.testing.assert_array_equal(embed(TEXTS, truncate_dim=2, return_tensors="np"), whole[:, :2])
    cut = embed(TEXTS, normalize_embeddings=True, return_tensors="np")
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1, atol=1e-6)
    assert embed("x", normalize=True) == embed("x", normalize_embeddings=True)
    assert len(embed("x", pooling="mean")) == hidden("x").shape[1]


def test_transformers_answer_without_modules(tiny_features: Path) -> None:
    embed: Any = pipeline("feature-extraction", tiny_features, threads=1)
    np.testing.assert_allclose(embed("profit rose")[0], hidden("profit rose"), atol=ATOL)
    with pytest.raises(InputError, match="prompt_name is 'query'; the bundle has no prompts"):
        embed("x", prompt_name="query")
    for name, value in (("truncate_dim", 4), ("precision", "binary"), ("ranges", [[0], [1]])):
        with pytest.raises(InputError, match=f"{name} is for one vector per text"):
            embed("x", **{name: value})


def test_precisions(model: Callable[..., Any]) -> None:
    embed = model()
    vectors = embed(TEXTS, return_tensors="np")
    for precision in ("int8", "uint8", "binary", "ubinary"):
        found = embed(TEXTS, precision=precision, return_tensors="np")
        np.testing.assert_array_equal(found, quantize_embeddings(vectors, precision))
        listed = embed(TEXTS, precision=precision)
        assert listed == found.tolist()
        assert type(listed[0][0]) is int
    ranges = [vectors.min(axis=0), vectors.max(axis=0)]
    whole = embed(TEXTS, precision="int8")
    for given in ({"ranges": ranges}, {"calibration_embeddings": vectors}):
        assert [embed(text, precision="int8", **given) for text in TEXTS] == whole
        assert list(embed.stream(TEXTS, precision="int8", **given)) == whole
    assert [embed(text, precision="binary") for text in TEXTS] == embed(TEXTS, precision="binary")
    assert embed([], precision="int8") == []


def test_ranges_that_are_missing(model: Callable[..., Any]) -> None:
    embed = model()
    with pytest.raises(InputError, match="precision='int8' of a single text needs ranges"):
        embed("x", precision="int8")
    with pytest.raises(InputError, match="precision='uint8' of a stream needs ranges"):
        embed.stream(TEXTS, precision="uint8")
    with pytest.raises(InputError, match="give a list of texts, or ranges"):
        embed(["x"], precision="int8")
    with pytest.raises(InputError, match=r"ranges has the shape \(2, 2\); expected \(2, "):
        embed("x", precision="int8", ranges=[[0, 0], [1, 1]])
    with pytest.raises(InputError, match=r"calibration_embeddings has the shape \(2,\)"):
        embed("x", precision="int8", calibration_embeddings=[0, 1])
    with pytest.raises(InputError, match="precision is 'int4'; expected one of float32, int8"):
        embed("x", precision="int4")


def test_defaults_travel(model: Callable[..., Any]) -> None:
    embed = model(settings=PROMPTS)
    again = pipeline("feature-extraction", embed.bundle.path, prompt_name="query", truncate_dim=3)
    wanted = embed("x", prompt_name="query", truncate_dim=3)
    assert again("x") == wanted == pickle.loads(pickle.dumps(again))("x")  # noqa: S301


def test_a_sealed_bundle_obeys_its_manifest_alone(make_bundle: Callable[..., Path]) -> None:
    folder = make_bundle(task="feature-extraction")
    before = pipeline("feature-extraction", folder, threads=1)("profit rose")
    describe(folder)  # laid into it later
    write_json(folder / "config_sentence_transformers.json", PROMPTS)
    assert pipeline("feature-extraction", folder, threads=1)("profit rose") == before


def test_the_command(model: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    embed = model(settings=PROMPTS)
    words = ["predict", "-m", str(embed.bundle.path), "--task", "feature-extraction", "--json"]
    words += ["--threads", "1", TEXTS[0]]
    for more, options in (
        ([], {}),
        (["--pooling", "lasttoken"], {"pooling": "lasttoken"}),
        (
            ["--prompt-name", "long", "--truncate-dim", "3"],
            {"prompt_name": "long", "truncate_dim": 3},
        ),
        (["--precision", "ubinary"], {"precision": "ubinary"}),
    ):
        capsys.readouterr()
        assert main([*words, *more]) == 0
        row = json.loads(capsys.readouterr().out)
        [vector] = [value for key, value in row.items() if key != "text"]
        assert vector == embed(TEXTS[0], **options)
