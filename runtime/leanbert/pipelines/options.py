"""The arguments of a call, checked: one frozen dataclass for each task, all below this one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from leanbert.arguments import check_count
from leanbert.tokenization.tokenizer import truncation_flag

__all__ = ["IGNORED", "NOT_GIVEN", "CallOptions", "NotGiven", "given"]


class NotGiven(Enum):
    """The type of :data:`NOT_GIVEN`."""

    TOKEN = 0


NOT_GIVEN: Final = NotGiven.TOKEN
"""The value of an argument that was left out, where ``None`` has a meaning of its own."""

IGNORED = frozenset({"padding", "num_workers"})
"""Arguments that transformers takes and that change nothing here."""


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not :data:`NOT_GIVEN`."""
    return {name: value for name, value in arguments.items() if value is not NOT_GIVEN}


@dataclass(frozen=True)
class CallOptions:
    """What every call can say.

    A task's options are a subclass, whose fields are the names of its arguments and whose
    ``__post_init__`` checks them.

    Raises:
        InputError: a value cannot be used.
    """

    truncation: bool | None = None
    """``True`` cuts long texts silently, ``None`` with a warning, ``False`` refuses them."""
    max_length: int | None = None
    """Cut shorter than the model's own limit, in tokens; ``None`` for that limit."""
    batch_size: int | None = None
    """Most rows of a batch; ``None`` leaves it to the budget of tokens."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "truncation", truncation_flag(self.truncation))
        check_count("max_length", self.max_length)
        check_count("batch_size", self.batch_size)
