"""The arguments of a call: one frozen class for each task, which checks them when it is made.

A pipeline makes its default options once, from the arguments that it was opened with. A call
without arguments uses them as they are; a call with arguments makes its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Final

from leanbert.arguments import check_count, check_flag, check_wait
from leanbert.batching.live import MAX_WAIT_MS
from leanbert.errors import InputError
from leanbert.tokenization.cutting import truncation_flag

__all__ = ["NOT_GIVEN", "CallOptions", "NotGiven", "take_tokenizer_arguments"]


class NotGiven(Enum):
    """The type of :data:`NOT_GIVEN`."""

    TOKEN = 0


NOT_GIVEN: Final = NotGiven.TOKEN
"""The value of an argument that was left out, where ``None`` has a meaning of its own."""


@dataclass(frozen=True)
class CallOptions:
    """What every call can say.

    A task's options are a subclass, whose fields are the names of its arguments and whose
    ``__post_init__`` checks them. A field whose name begins with ``_`` is no argument: the
    pipeline finds its value out.

    Raises:
        InputError: a value cannot be used.
    """

    truncation: bool | str | None = None
    """``True`` cuts long texts silently, ``None`` with a warning, ``False`` refuses them.

    transformers' names of strategies are understood; made options have one of these three."""
    max_length: int | None = None
    """Cut shorter than the model's own limit, in tokens; ``None`` for that limit."""
    batch_size: int | None = None
    """Most rows of a batch; ``None`` leaves it to the budget of tokens."""
    max_wait_ms: float | None = MAX_WAIT_MS
    """Milliseconds that the inputs of a lazy feed are waited for before they are answered; ``None``
    waits for whole groups, which is for a file that is there already."""
    deduplicate: bool = True
    """Whether a text that comes again in one call is computed once for all."""
    _strategy: str = "longest_first"
    """Which part of a pair is cut: the longer one, or as ``truncation`` says."""

    aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of arguments, with the name that each one means."""
    ignored: ClassVar[frozenset[str]] = frozenset({"padding", "num_workers"})
    """Arguments that transformers takes and that change nothing here."""
    nullable: ClassVar[frozenset[str]] = frozenset(
        {"truncation", "max_length", "batch_size", "max_wait_ms"}
    )
    """Arguments whose ``None`` has a meaning; for all others ``None`` is the same as not given."""

    def __post_init__(self) -> None:
        flag = truncation_flag(self.truncation)
        if flag and isinstance(self.truncation, str):
            object.__setattr__(self, "_strategy", self.truncation)
        object.__setattr__(self, "truncation", flag)
        check_count("max_length", self.max_length)
        check_count("batch_size", self.batch_size)
        check_wait("max_wait_ms", self.max_wait_ms)
        check_flag("deduplicate", self.deduplicate)

    @classmethod
    @cache
    def names(cls) -> frozenset[str]:
        """The names of all arguments that a call may give."""
        own = {field.name for field in fields(cls) if not field.name.startswith("_")}
        return frozenset(own) | cls.ignored | set(cls.aliases)

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """The given arguments under the names of this class's fields.

        Aliases get their canonical name, which goes first where both are given; members of enums
        become their names; what means nothing is left out.

        Raises:
            InputError: an argument is unknown.
        """
        known = cls.names()
        unknown = sorted(set(given) - known)
        if unknown:
            raise InputError(
                f"unknown argument {', '.join(unknown)}; {task} takes {', '.join(sorted(known))}"
            )
        found: dict[str, Any] = {}
        for given_name in sorted(given, key=lambda name: name not in cls.aliases):
            name, value = cls.aliases.get(given_name, given_name), given[given_name]
            if isinstance(value, Enum):  # transformers has some; they are named as the strings are
                value = value.name.lower()
            if name not in cls.ignored and (value is not None or name in cls.nullable):
                found[name] = value
        return found


def take_tokenizer_arguments(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arguments with ``truncation`` and ``max_length`` taken out of a mapping of them.

    Args:
        given: the arguments of a call.
        name: what the task calls the mapping: ``"tokenizer_kwargs"`` or ``"tokenize_kwargs"``.

    Raises:
        InputError: it is no mapping, has another key, or gives an argument a second time.
    """
    inner = given.get(name)
    rest = {key: value for key, value in given.items() if key != name}
    if inner is None:
        return rest
    known = ("truncation", "max_length", "padding")
    if not isinstance(inner, Mapping) or not set(inner) <= set(known):
        raise InputError(f"{name} is {inner!r}; it may have the keys {', '.join(known)}")
    twice = sorted(set(inner) & set(rest))
    if twice:
        raise InputError(f"{', '.join(twice)} is given twice: by itself and in {name}")
    return rest | dict(inner)
