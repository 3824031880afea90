"""LeanBERT: BERT encoders on ordinary CPUs, without torch.

>>> from leanbert import pipeline
>>> classify = pipeline("text-classification")
>>> classify("Operating profit rose to EUR 13.1 mn.")  # doctest: +SKIP
[{'label': 'positive', 'score': 0.91}]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanbert.bundle import Bundle
    from leanbert.errors import LeanBertError, LeanBertWarning
    from leanbert.pipelines import pipeline
    from leanbert.verification import verify

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "LeanBertError",
    "LeanBertWarning",
    "__version__",
    "pipeline",
    "verify",
]

# Resolved on first use (PEP 562), so that `leanbert --help` does not wait for numpy.
_HOME = {
    "Bundle": "leanbert.bundle",
    "LeanBertError": "leanbert.errors",
    "LeanBertWarning": "leanbert.errors",
    "pipeline": "leanbert.pipelines",
    "verify": "leanbert.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
