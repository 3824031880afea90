"""Describe a checkpoint, if there is a module for its family."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch

from leanbert_export.architectures.description import Encoder
from leanbert_export.architectures.tensors import NotDescribedError, Tensors
from leanbert_export.checkpoint.loading import LoadedCheckpoint

__all__ = ["FAMILIES", "describe"]

Describe: TypeAlias = Callable[[Mapping[str, Any], Tensors, str], Encoder]

FAMILIES: Mapping[str, str] = {
    "albert": "albert",
    "bert": "bert",
    "camembert": "roberta",
    "data2vec-text": "roberta",
    "deberta-v2": "deberta",
    "distilbert": "distilbert",
    "electra": "electra",
    "gte": "nomic_bert",
    "modernbert": "modernbert",
    "mpnet": "mpnet",
    "nomic_bert": "nomic_bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
}
"""The module below this folder by the config's ``model_type``."""

# Poolers that no head reads, constants, and biases that a decoder holds too.
_NOT_READ = re.compile(
    r"(.*\.)?(pooler\..*|position_ids|token_type_ids|(predictions|lm_head|generator_lm_head)\.bias)"
)


def describe(loaded: LoadedCheckpoint) -> Encoder:
    """Describe a loaded checkpoint; its arrays are PyTorch's own memory.

    Raises:
        NotDescribedError: there is no module for its family, or it has something that the module
            does not describe.
    """
    config: Mapping[str, Any] = loaded.model.config.to_dict()
    family = str(config["model_type"])
    if family not in FAMILIES:
        raise NotDescribedError(f"there is no description of the architecture {family}")
    module = importlib.import_module(f"{__package__}.{FAMILIES[family]}")
    function: Describe = module.describe
    state: Mapping[str, torch.Tensor] = loaded.model.state_dict()
    tensors = Tensors({name: value.detach().numpy() for name, value in state.items()})
    try:
        encoder = function(config, tensors, loaded.checkpoint.task)
    except KeyError as error:
        raise NotDescribedError(f"its config has no {error.args[0]}") from error
    left = [name for name in tensors.unread() if not _NOT_READ.fullmatch(name)]
    if left:
        raise NotDescribedError(f"the model has {left[0]}, which {family} does not read")
    return encoder
