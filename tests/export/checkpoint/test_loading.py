"""A checkpoint whose tensors are not those of its architecture is refused by their names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, BertConfig, BertForPreTraining

from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.loading import LoadedCheckpoint, dtype_argument
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import export
from tests.export.conftest import Workshop, load
from tests.export.test_failures import edit_config
from tests.helpers.families import FAMILIES
from tests.helpers.parity import is_newer

LAYER = "bert.encoder.layer.0.output"


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


def refused(folder: Path, task: str | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["classifier.bias", f"{LAYER}.LayerNorm.weight", "bert.pooler.dense.bias"]
)
def test_a_missing_tensor(checkpoint_copy: Path, tmp_path: Path, name: str) -> None:
    change(checkpoint_copy, lambda tensors: tensors.pop(name))
    message = refused(checkpoint_copy)
    assert message.startswith(f"{checkpoint_copy}: lacks {name}, which transformers would fill")
    with pytest.raises(CheckpointError, match="lacks"):
        export(str(checkpoint_copy), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_many_missing_tensors(checkpoint_copy: Path) -> None:
    change(
        checkpoint_copy,
        lambda tensors: [tensors.pop(name) for name in list(tensors) if "layer.1." in name],
    )
    message = refused(checkpoint_copy)
    assert "lacks bert.encoder.layer.1.attention.output.LayerNorm.bias, " in message
    assert " and 12 more, which" in message


@pytest.mark.parametrize("task", HEADS)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "bert-cased"])
def test_every_head_needs_all_of_its_tensors(
    families: Any, tmp_path: Path, family: str, task: str
) -> None:
    folder = Path(shutil.copytree(families.checkpoint(family, task), tmp_path / "copy"))
    found = load(folder, task)
    assert found.notes == {}
    prefix = f"{found.model.base_model_prefix}."
    whole = load_file(folder / "model.safetensors")
    head = [name for name in whole if not name.startswith(prefix)]
    inner = head if task == "feature-extraction" else set(whole) - set(head)
    layer = next(n for n in sorted(inner) if ("bias" in n or "norm" in n) and "pooler" not in n)
    # A tensor of a layer, then one of the head, then the whole head.
    change(folder, lambda tensors: tensors.pop(layer))
    assert layer in refused(folder, task)
    if task == "feature-extraction":
        return
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder, lambda tensors: tensors.pop(head[0]))
    assert head[0] in refused(folder, task)
    change(folder, lambda tensors: [tensors.pop(name) for name in head[1:]])
    assert f"has no weights of a head for {task} (" in refused(folder, task)


def test_a_head_of_another_task(checkpoint_copy: Path) -> None:
    message = refused(checkpoint_copy, "question-answering")
    assert (
        "has no weights of a head for question-answering (qa_outputs.bias, qa_outputs.weight), so "
        "its answers would be random; its architecture is BertForSequenceClassification"
    ) in message


def test_features_need_no_head_and_no_pooler(checkpoint_copy: Path) -> None:
    found = load(checkpoint_copy, "feature-extraction")
    assert found.notes == {"left out": "classifier.bias, classifier.weight: of another head"}
    pooler = ("bert.pooler.dense.bias", "bert.pooler.dense.weight")
    change(checkpoint_copy, lambda tensors: [tensors.pop(name) for name in pooler])
    found = load(checkpoint_copy, "feature-extraction")
    assert found.notes["not needed"] == (
        "pooler.dense.bias, pooler.dense.weight: not in the checkpoint"
    )
    assert "bert.pooler.dense.bias" in refused(checkpoint_copy)  # its classifier reads it


def test_a_pretraining_checkpoint_fills_masks(workshop: Workshop, tmp_path: Path) -> None:
    """As bert-base-uncased is: a head for the next sentence, and the words' twice or once."""
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2}
    config = BertConfig(intermediate_size=64, **sizes)
    model = BertForPreTraining(config)
    model.save_pretrained(tmp_path / "pretrained")
    for path in workshop.tiny().glob("*token*"):
        shutil.copyfile(path, tmp_path / "pretrained" / path.name)
    found = load(tmp_path / "pretrained", "fill-mask")
    assert found.notes == {
        "left out": "bert.pooler.dense.bias, bert.pooler.dense.weight, cls.seq_relationship.bias, "
        "cls.seq_relationship.weight: of another head"
    }
    decoder = found.model.get_output_embeddings().weight
    assert decoder.data_ptr() == found.model.get_input_embeddings().weight.data_ptr()


def test_tied_weights_are_not_missing(families: Any) -> None:
    folder = families.checkpoint("bert", "fill-mask")
    assert "cls.predictions.decoder.weight" not in load_file(folder / "model.safetensors")
    assert load(folder, "fill-mask").notes == {}
    untied = AutoModelForMaskedLM.from_pretrained(folder)
    assert untied.config.tie_word_embeddings


@pytest.mark.parametrize(
    "name",
    [
        "bert.encoder.layer.2.output.dense.weight",
        "bert.encoder.layer.0.adapter.weight",
        "bert.embeddings.word_embeddings.lora_A",
        "classifier.out_proj.weight",
        "classifier.gate",
    ],
)
@pytest.mark.parametrize("task", [None, "feature-extraction"])
def test_an_unexpected_tensor(checkpoint_copy: Path, name: str, task: str | None) -> None:
    change(checkpoint_copy, lambda tensors: tensors.update({name: torch.zeros(3, 3)}))
    if task is not None and name.startswith("classifier"):
        assert name in load(checkpoint_copy, task).notes["left out"]
        return
    short = name.removeprefix("bert.") if task else name
    message = refused(checkpoint_copy, task)
    kind = "BertModel" if task else "BertForSequenceClassification"
    assert f"has {short}, for which a {kind} as config.json describes it has no place" in message


@pytest.mark.skipif(not is_newer(), reason="transformers 4.57 refuses a mixture of names itself")
def test_an_unexpected_tensor_without_the_prefix(checkpoint_copy: Path) -> None:
    """The encoder's tensors were saved without a head, and those of the head were added."""

    def rename(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("bert.")] = tensors.pop(name)

    change(checkpoint_copy, rename)
    assert load(checkpoint_copy).notes == {}
    name = "encoder.layer.2.output.dense.weight"
    change(checkpoint_copy, lambda tensors: tensors.update({name: torch.zeros(3, 3)}))
    assert f"has bert.{name}, for which a BertForSequenceClassification as" in refused(
        checkpoint_copy
    )


def test_tensors_of_another_shape(checkpoint_copy: Path) -> None:
    dense = f"{LAYER}.dense.weight"
    change(checkpoint_copy, lambda tensors: tensors.update({dense: torch.zeros(3, 5)}))
    message = refused(checkpoint_copy)
    assert f"{dense} has the shape (3, 5) where config.json asks for (32, 64); take" in message
    edit_config(checkpoint_copy, vocab_size=40_000)
    message = refused(checkpoint_copy)
    assert message.endswith("and 1 more tensors do not fit; take both from one checkpoint")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn])
def test_numbers_that_are_no_weights(checkpoint_copy: Path, dtype: torch.dtype) -> None:
    name = f"{LAYER}.dense.weight"
    change(checkpoint_copy, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    assert f"{name} is stored as " in refused(checkpoint_copy)


def test_the_dtype_has_another_name_in_older_releases() -> None:
    names = {version: dtype_argument(version) for version in ("4.53.0", "4.55.4", "4.56.1", "5.0")}
    assert list(names.values()) == ["torch_dtype", "torch_dtype", "dtype", "dtype"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_is_read(checkpoint_copy: Path, dtype: torch.dtype) -> None:
    change(
        checkpoint_copy,
        lambda tensors: tensors.update({n: value.to(dtype) for n, value in tensors.items()}),
    )
    found = load(checkpoint_copy)
    assert found.model.classifier.weight.dtype == torch.float32


def test_constants_of_older_checkpoints(checkpoint_copy: Path) -> None:
    positions = {"bert.embeddings.position_ids": torch.arange(512)[None]}
    change(checkpoint_copy, lambda tensors: tensors.update(positions))
    assert load(checkpoint_copy).notes == {}


def test_older_names_of_layer_norm(checkpoint_copy: Path) -> None:
    """gamma and beta, which transformers renames."""

    def rename(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            if "LayerNorm" in name:
                old = name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")
                tensors[old] = tensors.pop(name)

    assert load(change(checkpoint_copy, rename)).notes == {}


def test_shards(checkpoint_copy: Path) -> None:
    model = load(checkpoint_copy).model
    (checkpoint_copy / "model.safetensors").unlink()
    model.save_pretrained(checkpoint_copy, max_shard_size="1MB")
    assert load(checkpoint_copy).notes == {}
    shards = sorted(checkpoint_copy.glob("model-*.safetensors"))
    part = next(path for path in shards if "classifier.bias" in load_file(path))
    tensors = load_file(part)
    del tensors["classifier.bias"]
    save_file(tensors, part, metadata={"format": "pt"})
    assert "index.json and the files do not agree on classifier.bias;" in refused(checkpoint_copy)
    part.unlink()
    assert f"model.safetensors.index.json names {part.name}, which is not" in refused(
        checkpoint_copy
    )


@pytest.mark.parametrize(
    "form",
    [
        {"output_attentions": True},
        {"output_hidden_states": True},
        {"return_dict": False},
        {"torchscript": True},
        {"chunk_size_feed_forward": 7},
    ],
)
def test_the_form_of_outputs_is_ours(checkpoint_copy: Path, form: dict[str, Any]) -> None:
    plain = answer(load(checkpoint_copy))
    edit_config(checkpoint_copy, **form)
    found = load(checkpoint_copy)
    assert torch.equal(answer(found), plain)
    (name,) = form
    assert found.config.get(name) in (None, False, True, 0)
    assert found.config.get(name) != form[name]


def answer(loaded: LoadedCheckpoint) -> torch.Tensor:
    with torch.inference_mode():
        inputs = loaded.tokenizer("profit rose", return_tensors="pt")
        found: torch.Tensor = loaded.model(**inputs).logits
    return found


def test_the_config_names_the_padding(checkpoint_copy: Path) -> None:
    edit_config(checkpoint_copy, pad_token_id=None)
    found = load(checkpoint_copy)
    assert found.config["pad_token_id"] == found.tokenizer.pad_token_id == 0
