"""The text that is put before each input, as sentence-transformers' ``encode`` and ``rank`` do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from leanbert.bundle.sentence_transformers import SentenceModules
from leanbert.errors import InputError, warn
from leanbert.pipelines.options import CallOptions
from leanbert.tokenization import TextInput

__all__ = ["PromptedOptions", "prompt_of", "with_prompt"]


@dataclass(frozen=True)
class PromptedOptions(CallOptions):
    """What the calls of a task with prompts can say."""

    prompt: str | None = None
    prompt_name: str | None = None
    _prompt: str = ""
    """The text that the two, and the bundle, come to."""

    nullable: ClassVar[frozenset[str]] = CallOptions.nullable | {"prompt", "prompt_name"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("prompt", "prompt_name"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InputError(f"{name} is {value!r}; expected a string")


def prompt_of(
    options: PromptedOptions, modules: SentenceModules | None, *, by_default: bool
) -> str:
    """The text to put before each input; empty for none.

    Args:
        options: of the call.
        modules: what the bundle says, where it says anything.
        by_default: whether the bundle's default prompt counts where the call names none.

    Raises:
        InputError: the bundle has no prompt of the name asked for.
    """
    if options.prompt is not None:
        if options.prompt_name is not None:
            warn("both prompt and prompt_name are given; prompt_name is ignored")
        return options.prompt
    if options.prompt_name is not None:
        prompts = modules.prompts if modules else {}
        if options.prompt_name not in prompts:
            known = (
                f"expected one of {', '.join(prompts)}" if prompts else "the bundle has no prompts"
            )
            raise InputError(f"prompt_name is {options.prompt_name!r}; {known}")
        return prompts[options.prompt_name]
    return modules.default_prompt if modules and by_default else ""


def with_prompt(text: TextInput, prompt: str) -> TextInput:
    """A text, or the first of a pair, behind its prompt."""
    return prompt + text if isinstance(text, str) else (prompt + text[0], text[1])
