"""The arguments of ``feature-extraction``: which vectors, behind which prompt, in how many bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from leanbert.arguments import check_choice, check_count, check_flag
from leanbert.bundle.sentence_transformers import SentenceModules
from leanbert.errors import InputError
from leanbert.numerics import Floats
from leanbert.pipelines.embeddings import PRECISIONS
from leanbert.pipelines.options import NOT_GIVEN, CallOptions, NotGiven, take_tokenizer_arguments
from leanbert.pipelines.prompts import PromptedOptions, prompt_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["OWN_OUTPUT", "POOLINGS", "FeatureExtractionOptions"]

OWN_OUTPUT = "sentence_embedding"
"""The output of a graph that pools by itself, and the ``pooling`` that asks for it."""
POOLINGS = (
    "mean",
    "cls",
    "max",
    "mean_sqrt_len_tokens",
    "weightedmean",
    "lasttoken",
    OWN_OUTPUT,
    None,
)
"""How the vectors of a text's tokens become one; ``None`` keeps them."""


@dataclass(frozen=True)
class FeatureExtractionOptions(PromptedOptions):
    """The arguments of a call: see :meth:`FeatureExtractionPipeline.__call__`."""

    pooling: str | NotGiven | None = NOT_GIVEN
    normalize: bool = False
    truncate_dim: int | None = None
    precision: str = "float32"
    ranges: Any = field(default=None, compare=False)
    calibration_embeddings: Any = field(default=None, compare=False)
    return_tensors: str | bool | None = None
    _pools: bool = False
    """Whether the bundle's own modules make the vectors."""
    _skipped: int = 0
    """Tokens at the start of each text that are not pooled: those of the prompt."""

    aliases: ClassVar[Mapping[str, str]] = {
        "normalize_embeddings": "normalize",
        "tokenize_kwargs": "truncation",
    }
    nullable: ClassVar[frozenset[str]] = CallOptions.nullable | {
        *("pooling", "return_tensors", "prompt", "prompt_name", "truncate_dim"),
        *("ranges", "calibration_embeddings"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling is not NOT_GIVEN and self.pooling not in POOLINGS:
            known = ", ".join(repr(name) for name in POOLINGS if name != OWN_OUTPUT)
            raise InputError(f"pooling is {self.pooling!r}; expected one of {known}")
        check_flag("normalize", self.normalize)
        check_count("truncate_dim", self.truncate_dim)
        check_choice("precision", self.precision, PRECISIONS)
        if self.return_tensors not in (None, False, True, "np"):
            raise InputError(
                f'return_tensors is {self.return_tensors!r}; LeanBERT makes "np" arrays only'
            )

    @property
    def _waits(self) -> bool:
        """Whether a vector's numbers depend on the other vectors of the call."""
        return self.precision.endswith("int8") and self.ranges is None

    def completed(self, modules: SentenceModules | None) -> Self:
        """The options with what the bundle says, and the ranges of the calibration.

        Args:
            modules: what sentence-transformers does after the encoder, if anything.

        Raises:
            InputError: an argument is for embeddings, and the answers are all tokens' vectors; or
                the bundle has no such prompt; or the calibration has another form.
        """
        pools = self.pooling is NOT_GIVEN and modules is not None
        found: dict[str, Any] = {"_pools": pools}
        found["_prompt"] = prompt_of(self, modules, by_default=pools)
        if pools and modules and self.truncate_dim is None:
            found["truncate_dim"] = modules.truncate_dim
        if self.pooling is NOT_GIVEN and not pools:
            found["pooling"] = None
        if self.ranges is None and self.calibration_embeddings is not None:
            found["ranges"] = _ranges_of(self.calibration_embeddings)
        completed = replace(self, **found)
        if completed.pooling is None:
            for name in ("truncate_dim", "ranges"):
                if getattr(completed, name) is not None:
                    raise InputError(f"{name} is for one vector per text; give a pooling, too")
            if self.precision != "float32":
                raise InputError("precision is for one vector per text; give a pooling, too")
        return completed

    def lacks_ranges(self, of: str) -> InputError:
        """The error of a call whose numbers need the range of each dimension."""
        return InputError(
            f"precision={self.precision!r} of {of} needs ranges, or calibration_embeddings: the "
            "smallest and the largest value of each dimension (a list of texts has its own)"
        )

    @classmethod
    def canonical(cls, given: Mapping[str, Any], task: str) -> dict[str, Any]:
        """See :meth:`CallOptions.canonical`; the mapping for the tokenizer is taken apart."""
        return super().canonical(take_tokenizer_arguments(given, "tokenize_kwargs"), task)


def _ranges_of(calibration_embeddings: object) -> list[Floats]:
    found = np.asarray(calibration_embeddings, dtype=np.float32)
    if found.ndim != 2 or not len(found):
        raise InputError(
            f"calibration_embeddings has the shape {found.shape}; expected one row per text"
        )
    return [found.min(axis=0), found.max(axis=0)]
