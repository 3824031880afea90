"""The tokenizer of a checkpoint: loaded, written for a bundle, or refused with the cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from leanbert_export.checkpoint.tokenizer import load_tokenizer, write_tokenizer
from leanbert_export.errors import CheckpointError
from tests.export.conftest import load
from tests.helpers.parity import is_newer


def edit(folder: Path, **changes: Any) -> Path:
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_class_that_is_not_known(checkpoint_copy: Path) -> None:
    edit(checkpoint_copy, tokenizer_class="FrobnicateTokenizer")
    if is_newer():  # which takes tokenizer.json then
        assert load(checkpoint_copy).notes == {
            "tokenizer": "as tokenizer.json has it; this transformers has no class "
            "FrobnicateTokenizer for it"
        }
        return
    message = refused(checkpoint_copy)
    assert message.startswith(f"{checkpoint_copy}: transformers cannot load its tokenizer (")
    assert "FrobnicateTokenizer" in message


def test_a_class_without_a_fast_form(checkpoint_copy: Path) -> None:
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a</w>": 4}
    (checkpoint_copy / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (checkpoint_copy / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (checkpoint_copy / "tokenizer.json").unlink()
    message = refused(edit(checkpoint_copy, tokenizer_class="CTRLTokenizer"))
    assert message.startswith(f"{checkpoint_copy}: its tokenizer, CTRLTokenizer, has no fast form")


def test_a_broken_file(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert "transformers cannot load its tokenizer" in refused(checkpoint_copy)


@pytest.mark.parametrize("length", ["512", 0, True])
def test_a_longest_input_that_is_no_number_of_tokens(checkpoint_copy: Path, length: Any) -> None:
    message = refused(edit(checkpoint_copy, model_max_length=length))
    assert "model_max_length" in message or "transformers cannot load" in message


def test_a_side_that_is_none(checkpoint_copy: Path) -> None:
    assert "adding side should be" in refused(edit(checkpoint_copy, padding_side="middle"))


def test_no_files(checkpoint_copy: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (checkpoint_copy / name).unlink()
    assert refused(checkpoint_copy).startswith(f"{checkpoint_copy}: no tokenizer.json, nor files")


def test_what_is_written(checkpoint_copy: Path, tmp_path: Path) -> None:
    edit(
        checkpoint_copy,
        truncation_side="left",
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=200,
        name_or_path="/home/somebody/model",
        special_tokens_map_file="/home/somebody/map.json",
        note="made by somebody",
    )
    loaded = load(checkpoint_copy)
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_tokenizer(loaded.tokenizer, loaded.checkpoint, folder)
    written = {path.name for path in folder.iterdir()}
    assert written == {"tokenizer.json", "tokenizer_config.json"}
    content = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert content["truncation_side"] == content["padding_side"] == "left"
    assert content["model_input_names"] == ["input_ids", "attention_mask"]
    assert content["model_max_length"] == 200
    assert content["do_lower_case"] is True
    assert not {"name_or_path", "special_tokens_map_file", "note"} & set(content)
    again = transformers.AutoTokenizer.from_pretrained(folder)
    text = "Sales fell in naïve Finland 营业. " * 30
    wanted = loaded.tokenizer(text, truncation=True)["input_ids"]
    assert again(text, truncation=True)["input_ids"] == wanted
    assert len(wanted) == 200


def test_what_every_transformers_reads_is_written(checkpoint_copy: Path, tmp_path: Path) -> None:
    edit(
        checkpoint_copy,
        tokenizer_class="PreTrainedTokenizerFast",
        additional_special_tokens=["[unused1]"],
    )
    loaded = load(checkpoint_copy)
    assert loaded.notes == {}
    write_tokenizer(loaded.tokenizer, loaded.checkpoint, tmp_path)
    content = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert content["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert content["additional_special_tokens"] == ["[unused1]"]
    assert not isinstance(content.get("extra_special_tokens"), list)  # a fault in transformers 4
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert again.tokenize("profit [unused1]") == ["profit", "[unused1]"]
    assert "[unused1]" in again.all_special_tokens


def test_a_truncation_side_in_the_tokenizers_own_file(checkpoint_copy: Path) -> None:
    path = checkpoint_copy / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["truncation"] = {
        "direction": "Left",
        "max_length": 30,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_tokenizer(load(checkpoint_copy).checkpoint).truncation_side == "left"
