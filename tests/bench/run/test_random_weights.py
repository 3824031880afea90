from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from leanbert_bench.run import random_weights

SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "vocab_size": 6000,
}


def test_an_unknown_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bert-huge: expected one of bert-base, minilm, bert-tiny"):
        random_weights.random_checkpoint("bert-huge", tmp_path, 1)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_weights, "_NEEDS", ("no-such-package",))
    with pytest.raises(InputError, match=r"needs no-such-package; install with: pip install"):
        random_weights.random_checkpoint("minilm", tmp_path, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_a_checkpoint_is_seeded_and_keeps_case_if_asked(lower_case: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name in ("one", "two"):
        random_weights.save_random_checkpoint(
            tmp_path / name, lower_case=lower_case, intermediate_size=16, **SMALL
        )
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert list(config["id2label"].values()) == ["positive", "negative", "neutral"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "one")
    assert (tokenizer("Profit")["input_ids"] == tokenizer("profit")["input_ids"]) is lower_case


@pytest.mark.slow
def test_another_family_has_the_same_vocabulary(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    random_weights.save_random_checkpoint(tmp_path, "roberta", intermediate_size=16, **SMALL)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["pad_token_id"] == tokenizer.pad_token_id == 0
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert tokenizer("profit")["input_ids"][0] == tokenizer.cls_token_id
