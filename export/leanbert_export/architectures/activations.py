"""The names that transformers has for activations."""

from __future__ import annotations

from collections.abc import Mapping

from leanbert_export.architectures.description import Activation
from leanbert_export.architectures.tensors import NotDescribedError

__all__ = ["activation"]

_NAMES: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


def activation(name: object) -> Activation:
    """The activation that a config names.

    Raises:
        NotDescribedError: it is none of those that an encoder is described with.
    """
    found = _NAMES.get(str(name))
    if found is None:
        raise NotDescribedError(f"its activation is {name!r}")
    return found
