"""Load a checkpoint in PyTorch, and refuse one whose tensors are not those of its architecture.

transformers fills in tensors that a checkpoint lacks and drops those that it has too many, with a
warning only. Here every such tensor has a name and a reason, or the export ends.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.checkpoint.heads import HEADS
from leanbert_export.checkpoint.tokenizer import class_note, load_tokenizer
from leanbert_export.checkpoint.weights import Tensor, read_headers
from leanbert_export.errors import CheckpointError, first_line
from leanbert_export.quiet import quiet

__all__ = ["LoadedCheckpoint", "load_checkpoint"]

_CONSTANT = re.compile(r"(.*\.)?position_ids")
# Only a classifier of sentences reads the pooler.
_POOLER = re.compile(r"(.*\.)?pooler\..*")
# What a config may say that changes the form of the outputs, and never their values.
_FORMS: Mapping[str, Any] = {
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict": True,
    "torchscript": False,
    "chunk_size_feed_forward": 0,
}
_SHOWN = 4  # names of tensors in a message


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in PyTorch."""

    checkpoint: Checkpoint
    tokenizer: Any
    """transformers' fast tokenizer."""
    model: Any
    """The ``torch.nn.Module``, fp32, in evaluation mode."""
    config: Mapping[str, Any]
    """The model's config as it was loaded; tracing may change the model's own."""
    notes: Mapping[str, str]
    """For the card: which tensors the export leaves out, and which are missing and not needed."""

    @property
    def reads_types(self) -> bool:
        """Whether the model's answer depends on ``token_type_ids``."""
        types = getattr(self.model.config, "type_vocab_size", None)
        takes = inspect.signature(self.model.forward).parameters
        return "token_type_ids" in takes and (types is None or types > 1)

    @property
    def gets_types(self) -> bool:
        """Whether transformers' pipeline gives the model ``token_type_ids`` that it reads."""
        return self.reads_types and "token_type_ids" in self.tokenizer.model_input_names


def load_checkpoint(checkpoint: Checkpoint) -> LoadedCheckpoint:
    """Load the tokenizer, and the model with the head of its task.

    Raises:
        CheckpointError: transformers cannot load one of them, or a tensor is missing, unexpected,
            or of another shape or type than the architecture's.
    """
    tokenizer = load_tokenizer(checkpoint)
    head = HEADS[checkpoint.task]
    stored = read_headers(checkpoint.weights)
    with quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(
                checkpoint.path, trust_remote_code=False
            )
            for name, value in _FORMS.items():
                setattr(config, name, value)
            model, info = getattr(transformers, head.auto_model).from_pretrained(
                checkpoint.path,
                config=config,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
                **{dtype_argument(transformers.__version__): torch.float32},
            )
        except Exception as error:  # what transformers and torch raise has no common base
            raise CheckpointError(
                f"{checkpoint.path}: transformers cannot load it ({first_line(error)})"
            ) from error
    model.eval()
    # transformers 5 gives each of these names with both shapes.
    mismatched = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
    _check_mismatched(checkpoint, model, mismatched, stored)
    unused = _check_missing(checkpoint, model, map(str, info["missing_keys"]))
    left_out = _check_unexpected(checkpoint, model, map(str, info["unexpected_keys"]))
    notes = {}
    if left_out:
        notes["left out"] = f"{', '.join(left_out)}: of another head"
    if unused:
        notes["not needed"] = f"{', '.join(unused)}: not in the checkpoint"
    if (note := class_note(tokenizer, checkpoint)) is not None:
        notes["tokenizer"] = note
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id  # the bundle's config says it
    content = json.loads(model.config.to_json_string(use_diff=True))
    return LoadedCheckpoint(checkpoint, tokenizer, model, content, notes)


def dtype_argument(version: str) -> str:
    """The name of ``from_pretrained``'s argument in a version of transformers."""
    major, minor = map(int, version.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _check_mismatched(
    checkpoint: Checkpoint, model: Any, names: Iterable[str], stored: Mapping[str, Tensor]
) -> None:
    wrong = sorted(names, key=lambda name: (not name.endswith("weight"), name))
    if not wrong:
        return
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    has = {name: _stored(name, model, stored) for name in wrong}
    labels = checkpoint.config.id2label
    for name in wrong:
        tensor = has[name]
        widths = tensor is not None and tensor.shape[1:] == shapes[name][1:]
        if HEADS[checkpoint.task].labels and widths and shapes[name][0] == len(labels):
            raise CheckpointError(
                f"{checkpoint.path / 'config.json'}: id2label names {len(labels)} labels "
                f"({', '.join(labels.values())}), but {name} gives "
                f"{tensor.shape[0] if tensor else 0} outputs; take both from one checkpoint"
            )
    first = wrong[0]
    tensor = has[first]
    shape = "another shape" if tensor is None else f"the shape {tensor.shape}"
    raise CheckpointError(
        f"{checkpoint.path}: {first} has {shape} where config.json asks for {shapes[first]}"
        + (f", and {len(wrong) - 1} more tensors do not fit" if len(wrong) > 1 else "")
        + "; take both from one checkpoint"
    )


def _stored(name: str, model: Any, stored: Mapping[str, Tensor]) -> Tensor | None:
    """A tensor of the file by its name in the model, which may have one prefix more or less."""
    prefix = f"{model.base_model_prefix}."
    for other in (name, prefix + name, name.removeprefix(prefix)):
        if other in stored:
            return stored[other]
    return None


def _check_missing(checkpoint: Checkpoint, model: Any, names: Iterable[str]) -> list[str]:
    """The missing tensors that are not needed."""
    missing = sorted(name for name in names if not _CONSTANT.fullmatch(name))
    pooled = checkpoint.task == "text-classification"
    needed = [name for name in missing if pooled or not _POOLER.fullmatch(name)]
    if not needed:
        return missing
    if _is_whole_head(needed, model):
        architectures = checkpoint.config.raw.get("architectures") or ["not said"]
        raise CheckpointError(
            f"{checkpoint.path}: has no weights of a head for {checkpoint.task} "
            f"({_shown(needed)}), so its answers would be random; its architecture is "
            f"{', '.join(map(str, architectures))}: choose the --task of its own head, or "
            "fine-tune it first"
        )
    raise CheckpointError(
        f"{checkpoint.path}: lacks {_shown(needed)}, which transformers would fill with random "
        "numbers or defaults; download or save the checkpoint again"
    )


def _is_whole_head(missing: list[str], model: Any) -> bool:
    """Whether exactly the tensors of the head are missing, those of the encoder left out."""
    places = {name: value.data_ptr() for name, value in model.state_dict().items()}
    encoder = {place for name, place in places.items() if _in_encoder(name, model)}
    head = set(places.values()) - encoder
    return bool(encoder) and head == {places[name] for name in missing if name in places}


def _check_unexpected(checkpoint: Checkpoint, model: Any, names: Iterable[str]) -> list[str]:
    """The tensors of other heads, which the graph does not need."""
    unexpected = sorted({_of_model(name, model) for name in names if not _CONSTANT.fullmatch(name)})
    modules = dict(model.named_modules())
    wrong = [
        name
        for name in unexpected
        if not _POOLER.fullmatch(name) and _belongs(name, model, modules)
    ]
    if wrong:
        raise CheckpointError(
            f"{checkpoint.path}: has {_shown(wrong)}, for which a {type(model).__name__} as "
            "config.json describes it has no place; take both from one checkpoint"
        )
    return unexpected


def _of_model(name: str, model: Any) -> str:
    """The name that the model would have for a tensor of the checkpoint.

    The checkpoint of an encoder lacks the prefix that a model with a head has, and the other way
    round. transformers 5 gives unexpected tensors by the names in the checkpoint.
    """
    prefix = f"{model.base_model_prefix}."
    if model.base_model is model:
        return name.removeprefix(prefix)
    first = name.split(".")[0]
    inside = first in dict(model.base_model.named_children())
    return prefix + name if inside and not hasattr(model, first) else name


def _belongs(name: str, model: Any, modules: Mapping[str, Any]) -> bool:
    """Whether a tensor claims a place in the encoder, or in a layer of the head.

    Heads of other tasks stand beside these: ``cls.seq_relationship`` beside ``cls.predictions``.
    """
    if _in_encoder(name, model):
        return True
    parts = name.split(".")
    if model.base_model is model:
        return parts[0] in dict(model.named_children())
    for end in range(len(parts) - 1, 0, -1):
        module = modules.get(".".join(parts[:end]))
        if module is not None:
            return end == len(parts) - 1 or not any(True for _ in module.children())
    return False


def _in_encoder(name: str, model: Any) -> bool:
    return name.startswith(f"{model.base_model_prefix}.")


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
