"""What a ``config.json`` may say: each value of its type and size, or one line that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.bundle.config import parse_config
from leanbert.errors import BundleCorruptError

PATH = Path("somewhere") / "config.json"
BERT = {"model_type": "bert"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": None}, "model_type"),
        ({"model_type": 5}, "model_type"),
        ({"problem_type": "ranking"}, "problem_type"),
        ({"problem_type": ["regression"]}, "problem_type"),
        ({"problem_type": {}}, "problem_type"),
        ({"id2label": None, "num_labels": "x"}, "num_labels"),
        ({"id2label": None, "num_labels": -1}, "num_labels"),
        ({"id2label": None, "num_labels": True}, "num_labels"),
        ({"id2label": None, "num_labels": 1_000_000_000}, "num_labels"),
        ({"id2label": None, "num_labels": float("inf")}, "num_labels"),
        ({"id2label": None, "num_labels": 10**400}, "num_labels"),
        ({"id2label": ["a", "b"]}, "id2label"),
        ({"id2label": {"x": "a"}}, "id2label"),
        ({"id2label": {"9" * 4400: "a"}}, "id2label"),
        ({"id2label": {"0": ["a"]}}, "id2label"),
        ({"id2label": {"0": "a", "00": "b"}}, "id2label"),
        ({"id2label": {"1": "a", "2": "b"}}, "id2label"),
        ({"id2label": {str(2 * i): "a" for i in range(5000)}}, "id2label"),
        ({"pad_token_id": "x"}, "pad_token_id"),
        ({"pad_token_id": [1]}, "pad_token_id"),
        ({"pad_token_id": -1}, "pad_token_id"),
        ({"pad_token_id": 2**31}, "pad_token_id"),
        ({"pad_token_id": 2**63}, "pad_token_id"),
        ({"pad_token_id": 0.5}, "pad_token_id"),
        ({"max_position_embeddings": 10**30}, "max_position_embeddings"),
        ({"max_position_embeddings": 512.0}, "max_position_embeddings"),
        ({"max_position_embeddings": "512"}, "max_position_embeddings"),
        ({"max_position_embeddings": float("nan")}, "max_position_embeddings"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_values_that_make_no_sense(change: dict[str, Any], named: str) -> None:
    with pytest.raises(BundleCorruptError) as caught:
        parse_config({**BERT, **change}, PATH)
    message = str(caught.value)
    assert message.startswith(f"{PATH}: ")
    assert named in message
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize("architectures", [5, None, "BertModel", [5], {"a": 1}, [["BertModel"]]])
def test_architectures_that_make_no_sense_are_none(architectures: object) -> None:
    assert parse_config({**BERT, "architectures": architectures}, PATH).head_task is None


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({}, None),
        ({"max_position_embeddings": None}, None),
        ({"max_position_embeddings": 0}, None),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": 514, "model_type": "roberta"}, 512),
        ({"max_position_embeddings": 514, "model_type": "roberta", "pad_token_id": None}, 512),
        ({"max_position_embeddings": 514, "model_type": "mpnet", "pad_token_id": 1}, 512),
        ({"max_position_embeddings": 1, "model_type": "roberta", "pad_token_id": 1}, None),
    ],
)
def test_the_longest_input(change: dict[str, Any], wanted: int | None) -> None:
    assert parse_config({**BERT, **change}, PATH).max_tokens == wanted


def test_labels_of_other_types_are_names_too() -> None:
    config = parse_config({**BERT, "id2label": {"1": 5, "0": None, "2": 0.5}}, PATH)
    assert config.id2label == {0: "None", 1: "5", 2: "0.5"}
    assert config.labels_in_order == "0 None, 1 5, 2 0.5"


def test_labels_that_the_config_does_not_name() -> None:
    assert parse_config(BERT, PATH).id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert parse_config({**BERT, "num_labels": 0}, PATH).id2label == {}
