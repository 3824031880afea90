"""Directories of sentence-transformers: followed, or refused by the name of what would be lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import Bundle, pipeline
from leanbert.errors import BundleCorruptError, BundleError
from tests.helpers.tiny_bundles import Tiny, reference

MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
CHAIN = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]


def write(folder: Path, name: str, content: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def directory(make_bundle: Callable[..., Path]) -> Callable[..., Path]:
    """A plain export with the files of sentence-transformers."""

    def make(
        chain: list[tuple[str, str]] | None = None,
        pooling: dict[str, Any] | None = None,
        transformer: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> Path:
        folder = make_bundle(task="feature-extraction", manifest=False)
        modules = [
            {"idx": i, "type": f"sentence_transformers.models.{kind}", "path": path}
            for i, (kind, path) in enumerate(chain or CHAIN)
        ]
        write(folder, "modules.json", modules)
        write(folder, "1_Pooling/config.json", MEAN if pooling is None else pooling)
        write(folder, "sentence_bert_config.json", transformer or {"max_seq_length": 256})
        if settings:
            write(folder, "config_sentence_transformers.json", settings)
        return folder

    return make


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder}: a sentence-transformers model of which LeanBERT would")
    assert "\n" not in message
    return message


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_mean_pooling_is_followed(directory: Callable[..., Path]) -> None:
    folder = directory(settings={"prompts": {"query": "query: "}, "default_prompt_name": None})
    assert Bundle.open(folder).max_length == 32  # of the model
    wanted = reference(Tiny(task="feature-extraction"), "growth").mean(axis=0)
    found = pipeline("feature-extraction", folder, threads=1)("growth", pooling="mean")
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_its_longest_input_is_the_models(directory: Callable[..., Path]) -> None:
    folder = directory(transformer={"max_seq_length": 9, "do_lower_case": False})
    assert Bundle.open(folder).max_length == 9
    assert Bundle.open(directory(transformer={"max_seq_length": None})).max_length == 32


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pooling": {"pooling_mode_cls_token": True}}, "the pooling cls_token;"),
        ({"pooling": {**MEAN, "pooling_mode_max_tokens": True}}, "mean_tokens + max_tokens;"),
        ({"pooling": {"pooling_mode_lasttoken": True}}, "the pooling lasttoken;"),
        ({"chain": [*CHAIN[:2], ("Dense", "2_Dense")]}, "Dense (2_Dense);"),
        ({"chain": [("StaticEmbedding", "")]}, "StaticEmbedding (without a folder);"),
        ({"chain": [("Transformer", "0_Transformer"), *CHAIN[1:]]}, "(0_Transformer);"),
        ({"transformer": {"do_lower_case": True}}, "do_lower_case;"),
        (
            {"settings": {"prompts": {"doc": "passage: "}, "default_prompt_name": "doc"}},
            "the prompt 'passage: ';",
        ),
    ],
)
def test_what_would_be_dropped_is_named(
    directory: Callable[..., Path], options: dict[str, Any], named: str
) -> None:
    message = refused(directory(**options))
    assert named in message
    assert message.endswith("remove modules.json")


def test_everything_that_would_be_dropped_is_named_at_once(
    directory: Callable[..., Path],
) -> None:
    folder = directory(
        chain=[*CHAIN[:2], ("Dense", "2_Dense")], pooling={"pooling_mode_cls_token": True}
    )
    assert "drop the pooling cls_token, Dense (2_Dense);" in refused(folder)


@pytest.mark.parametrize(
    "modules", [5, {}, [5], [{}], [{"type": "Pooling"}], [{"type": "Pooling", "path": "../x"}]]
)
def test_modules_that_are_none(directory: Callable[..., Path], modules: object) -> None:
    folder = directory()
    write(folder, "modules.json", modules)
    with pytest.raises(BundleCorruptError, match=r"modules\.json"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "name", ["1_Pooling/config.json", "sentence_bert_config.json", "modules.json"]
)
def test_files_that_cannot_be_read(directory: Callable[..., Path], name: str) -> None:
    folder = directory()
    (folder / name).write_text("{", encoding="utf-8")
    with pytest.raises(BundleCorruptError, match="not valid JSON"):
        Bundle.open(folder)
