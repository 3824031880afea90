"""How ``max_memory_mb`` is divided between the model, the texts and the computing.

::

    max_memory_mb = open pipeline   modules, weights and tokenizer, estimated from the files
                  + tokenizing      the texts that are tokenized at one time
                  + holding         token ids, texts and results of a group of inputs
                  + computing       the engine's batches; each engine keeps to its part

The estimates are from measured processes (Linux, RSS) and rather too large than too small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leanbert.bundle import Bundle
from leanbert.engines.batch import Batch
from leanbert.engines.outputs import ModelOutputs, joined
from leanbert.errors import InputError

__all__ = ["Ceiling", "DoesNotFitError", "characters_of", "run_in_parts"]

_MIB = 1 << 20
_MODULES = {"native": 36 * _MIB, "onnxruntime": 76 * _MIB}
"""Python's modules, the engine's library and what it takes for itself: 31 and 73 were measured."""
_LOADING = {"native": 0.1, "onnxruntime": 1.1}
"""What of the weights' bytes an engine holds besides while it loads."""
_PER_ENTRY = 28
"""Bytes of a tokenizer in memory per byte of its JSON: 13 to 28 were measured, Unigram the most."""
_COPIES = 2  # of the tokenizer: itself, and one that does not cut
_CHARACTERS = 16  # per token that a text is shortened to before it is tokenized
_PER_TOKEN = 700  # bytes that the tokenizers library takes while a text is tokenized
_OF_ROWS = 64  # bytes per character of a text that is held in windows or sentences
_LEAST_TOKENIZING = 16 * _MIB
_LEAST_HOLDING = 4 * _MIB
_LEAST_COMPUTING = {"native": 6 * _MIB, "onnxruntime": 24 * _MIB}


@dataclass(frozen=True)
class Ceiling:
    """The parts of one pipeline's memory, in bytes."""

    megabytes: int
    """What the user gave."""
    tokenizing: int
    """Of the texts that are tokenized at one time."""
    holding: int
    """Of a group of inputs: token ids, texts, what is kept of the outputs."""
    computing: int
    """Of the batches that are computed at one time."""

    @classmethod
    def of(cls, bundle: Bundle, megabytes: int, engine: str) -> Ceiling:
        """Divide what the user gave.

        Args:
            bundle: what is opened.
            megabytes: the ceiling, in MiB.
            engine: the engine's name.

        Raises:
            InputError: it is too low to open the bundle and compute a short text.
        """
        vocabulary = bundle.tokenizer_path.stat().st_size
        weights = max(0, bundle.size - vocabulary)
        opened = _MODULES[engine] + int(1.05 * weights) + _COPIES * _PER_ENTRY * vocabulary
        loading = opened + int(_LOADING[engine] * weights)
        least_computing = _LEAST_COMPUTING[engine]
        least = max(loading, opened + _LEAST_TOKENIZING + _LEAST_HOLDING + least_computing)
        total = megabytes * _MIB
        if total < least:
            raise InputError(
                f"max_memory_mb is {megabytes}; {bundle.path} with the {engine} engine needs at "
                f"least {-(-least // _MIB)}"
            )
        wanted = 2 * _CHARACTERS * (bundle.max_length + 64) * _PER_TOKEN
        tokenizing = max(_LEAST_TOKENIZING, min(wanted, (total - opened) // 4))
        rest = total - opened - tokenizing
        holding = max(_LEAST_HOLDING, min(rest // 4, rest - least_computing))
        return cls(megabytes, tokenizing, holding, rest - holding)

    @property
    def characters(self) -> int:
        """Of the texts that are tokenized at once; a token may be one character."""
        return self.tokenizing // (2 * _PER_TOKEN)

    def check_tokenized(self, text: object, index: int) -> None:
        """Refuse a text that cannot be tokenized at once, as it stands.

        Raises:
            InputError: it is too long.
        """
        self._check(text, index, self.tokenizing // _PER_TOKEN)

    def check_held(self, text: object, index: int) -> None:
        """Refuse a text of which the windows or sentences cannot be held together.

        Raises:
            InputError: it is too long.
        """
        self._check(text, index, self.holding // _OF_ROWS)

    def _check(self, text: object, index: int, most: int) -> None:
        size = characters_of(text)
        if size > most:
            raise InputError(
                f"text {index}: {size:,} characters take more memory than max_memory_mb="
                f"{self.megabytes} leaves for a text, which is enough for {most:,}; raise it, or "
                "split the text"
            )


def characters_of(given: object) -> int:
    """Characters of an input, in whatever form its task takes it."""
    if isinstance(given, str):
        return len(given)
    if isinstance(given, Mapping):
        return sum(map(characters_of, given.values()))
    return sum(map(characters_of, given)) if isinstance(given, (list, tuple)) else 0


class DoesNotFitError(Exception):
    """A batch needs more memory than the engine may take."""


def run_in_parts(
    batch: Batch, run: Callable[[Batch], ModelOutputs], ceiling: Ceiling
) -> ModelOutputs:
    """Compute a batch, in halves where ``run`` says that it does not fit, and these likewise.

    Raises:
        InputError: a text alone does not fit.
    """
    try:
        return run(batch)
    except DoesNotFitError as error:
        if len(batch) == 1:
            raise InputError(
                f"a text of {len(batch.input_ids):,} tokens needs more memory than "
                f"max_memory_mb={ceiling.megabytes} leaves for computing "
                f"({ceiling.computing // _MIB} MiB); raise it, or cut texts with max_length"
            ) from error
    middle = len(batch) // 2
    halves = (range(middle), range(middle, len(batch)))
    return joined([run_in_parts(batch.take(half), run, ceiling) for half in halves])
