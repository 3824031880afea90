"""Directories of sentence-transformers: followed, or refused by the name of what would be lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert import Bundle
from leanbert.bundle.sentence_transformers import SentenceModules, Step
from leanbert.errors import BundleCorruptError, BundleError
from tests.helpers.sentence_directories import describe, write_dense, write_json

MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
KNOWN = {"query": "", "document": ""}
"""Prompts that ``encode`` knows of every model."""


@pytest.fixture
def directory(make_bundle: Callable[..., Path]) -> Callable[..., Path]:
    """A plain export with the files of sentence-transformers."""

    def make(**options: Any) -> Path:
        folder = make_bundle(task="feature-extraction", manifest=False)
        return describe(folder, **options)

    return make


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder}: a sentence-transformers model of which LeanBERT would")
    assert "\n" not in message
    return message


def test_a_directory_without_modules(make_bundle: Callable[..., Path]) -> None:
    for manifest in (True, False):
        bundle = Bundle.open(make_bundle(task="feature-extraction", manifest=manifest))
        assert bundle.sentence_modules() is None


def test_everything_that_it_says(directory: Callable[..., Path]) -> None:
    folder = directory(
        pooling={"pooling_mode": ["max", "mean"], "include_prompt": False},
        steps=("2_Dropout", "3_Dense", "4_LayerNorm", "5_Normalize"),
        transformer={"max_seq_length": 24, "do_lower_case": False},
        settings={
            "prompts": {"query": "query: ", "passage": None},
            "default_prompt_name": "query",
            "truncate_dim": 3,
            "similarity_fn_name": "dot",
            "__version__": {"sentence_transformers": "6.2.0"},
        },
    )
    write_dense(folder / "3_Dense", 16, 8)
    modules = Bundle.open(folder).sentence_modules()
    assert modules == SentenceModules(
        pooling=("max", "mean"),
        include_prompt=False,
        steps=(
            Step("Dense", "3_Dense", "tanh"),
            Step("LayerNorm", "4_LayerNorm"),
            Step("Normalize", "5_Normalize"),
        ),
        max_seq_length=24,
        prompts={"query": "query: ", "document": "", "passage": ""},
        default_prompt_name="query",
        truncate_dim=3,
        similarity_fn_name="dot",
    )
    assert modules.line == (
        "max + mean pooling; without the prompt's tokens; Dense (3_Dense, tanh); "
        "LayerNorm (4_LayerNorm); scaled to length 1; the first 3 dimensions; up to 24 tokens; "
        "prompts query 'query: '; by default query; compared by dot"
    )


@pytest.mark.parametrize(
    ("pooling", "found"),
    [
        ({}, ("mean",)),
        (MEAN, ("mean",)),
        ({**MEAN, "pooling_mode_cls_token": True}, ("cls", "mean")),
        ({"pooling_mode_weightedmean_tokens": True}, ("weightedmean",)),
        ({"pooling_mode_lasttoken": True, "embedding_dimension": 16}, ("lasttoken",)),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, ("mean_sqrt_len_tokens",)),
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, ("cls",)),
        ({"pooling_mode": ["mean", "max"]}, ("mean", "max")),
    ],
)
def test_both_forms_of_a_pooling(
    directory: Callable[..., Path], pooling: dict[str, Any], found: tuple[str, ...]
) -> None:
    assert Bundle.open(directory(pooling=pooling, steps=())).sentence_modules() == SentenceModules(
        found, prompts=KNOWN
    )


def test_a_cross_encoder(make_bundle: Callable[..., Path]) -> None:
    folder = make_bundle(labels=("score",), manifest=False)
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.Transformer"}
    write_json(folder / "modules.json", [module])
    write_json(
        folder / "config_sentence_transformers.json",
        {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"},
    )
    found = Bundle.open(folder).sentence_modules()
    assert found == SentenceModules(activation_fn="torch.nn.modules.linear.Identity")
    assert found.line == "scores by torch.nn.modules.linear.Identity"


def test_its_longest_input_is_the_models(directory: Callable[..., Path]) -> None:
    folder = directory(transformer={"max_seq_length": 9, "do_lower_case": False})
    assert Bundle.open(folder).max_length == 9
    assert Bundle.open(directory(transformer={"max_seq_length": None})).max_length == 32
    older = directory(transformer={})
    write_json(older / "sentence_roberta_config.json", {"max_seq_length": 7})
    assert Bundle.open(older).max_length == 7


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pooling": {"pooling_mode_first_token": True}}, "the pooling 'first_token';"),
        ({"pooling": {"pooling_mode": ["mean", "median"]}}, "the pooling 'median';"),
        ({"steps": ("2_CNN",)}, "CNN (2_CNN);"),
        ({"first": "0_Transformer"}, "the model in a folder of its own (0_Transformer);"),
        ({"transformer": {"query_expansion": {"length": 32}}}, "query_expansion;"),
        ({"transformer": {"model_args": {"subfolder": "x", "dtype": "float16"}}}, "subfolder;"),
        ({"transformer": {"modality_config": {"image": {}}}}, "modality_config of other inputs"),
        ({"transformer": {"transformer_task": "fill-mask"}}, "transformer_task;"),
        ({"settings": {"model_type": "SparseEncoder"}}, "the model_type 'SparseEncoder';"),
    ],
)
def test_what_would_be_dropped_is_named(
    directory: Callable[..., Path], options: dict[str, Any], named: str
) -> None:
    message = refused(directory(**options))
    assert named in message
    assert message.endswith("remove modules.json")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"activation_function": "torch.nn.GELU"}, "the activation 'GELU' of Dense (2_Dense);"),
        ({"activation_function": "mine.Tanh"}, "the activation 'Tanh' of Dense (2_Dense);"),
        ({"module_input_name": "token_embeddings"}, "module_input_name of Dense (2_Dense);"),
    ],
)
def test_a_dense_layer_that_is_not_followed(
    directory: Callable[..., Path], config: dict[str, Any], named: str
) -> None:
    folder = directory(steps=("2_Dense",))
    write_json(folder / "2_Dense/config.json", config)
    assert named in refused(folder)


def test_classes_and_orders_that_are_not_followed(directory: Callable[..., Path]) -> None:
    folder = directory()
    listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    own = [{**listed[0], "type": "custom_st.Transformer"}, *listed[1:]]
    write_json(folder / "modules.json", own)
    assert "'custom_st.Transformer', which is code of its own;" in refused(folder)
    write_json(folder / "modules.json", [listed[0], listed[2]])
    assert "drop Normalize (2_Normalize);" in refused(folder)
    write_json(folder / "modules.json", [{**listed[0], "type": "sentence_transformers.models.BoW"}])
    assert "drop BoW (without a folder);" in refused(folder)
    write_json(folder / "modules.json", [])
    assert "an empty list of modules" in refused(folder)


def test_everything_that_would_be_dropped_is_named_at_once(
    directory: Callable[..., Path],
) -> None:
    folder = directory(steps=("2_CNN",), pooling={"pooling_mode": "median"})
    assert "drop the pooling 'median', CNN (2_CNN);" in refused(folder)


def test_lower_case(directory: Callable[..., Path]) -> None:
    folder = directory(transformer={"do_lower_case": True})
    Bundle.open(folder)  # whose tokenizer lower-cases by itself
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["normalizer"] = None
    write_json(path, content)
    with pytest.raises(BundleError, match=r"lower-case texts \(do_lower_case\)"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "modules", [5, {}, [5], [{}], [{"type": "Pooling"}], [{"type": "Pooling", "path": "../x"}]]
)
def test_modules_that_are_none(directory: Callable[..., Path], modules: object) -> None:
    folder = directory()
    write_json(folder / "modules.json", modules)
    with pytest.raises(BundleCorruptError, match=r"modules\.json"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sentence_bert_config.json", {"max_seq_length": "long"}, "max_seq_length is 'long'"),
        ("sentence_bert_config.json", {"do_lower_case": 1}, "do_lower_case is 1"),
        ("1_Pooling/config.json", {"include_prompt": "no"}, "include_prompt is 'no'"),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, "prompts is a list of 1"),
        ("config_sentence_transformers.json", {"truncate_dim": 0}, "truncate_dim is 0"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "web"},
            "default_prompt_name is 'web'; expected one of query, document",
        ),
    ],
)
def test_values_that_make_no_sense(
    directory: Callable[..., Path], name: str, content: dict[str, Any], said: str
) -> None:
    folder = directory()
    write_json(folder / name, content)
    with pytest.raises(BundleCorruptError) as caught:
        Bundle.open(folder)
    assert str(caught.value).startswith(f"{folder / name}: {said}")


@pytest.mark.parametrize(
    "name", ["1_Pooling/config.json", "sentence_bert_config.json", "modules.json"]
)
def test_files_that_cannot_be_read(directory: Callable[..., Path], name: str) -> None:
    folder = directory()
    (folder / name).write_text("{", encoding="utf-8")
    with pytest.raises(BundleCorruptError, match="not valid JSON"):
        Bundle.open(folder)
