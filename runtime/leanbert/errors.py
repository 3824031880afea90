"""Every error LeanBERT raises on purpose, each a single line: what, where and what to do.

::

    LeanBertError
    ├── BundleError              a model directory cannot be used
    │   ├── BundleNotFoundError      it, or one of its files, is missing
    │   ├── BundleCorruptError       a file differs from what its manifest says
    │   └── BundleVersionError       its format is newer than this LeanBERT
    ├── InputError (ValueError)  a text, an argument or an input file cannot be used
    ├── TaskError (ValueError)   this model does not do that task
    ├── EngineError              the engine refused the graph or failed to run it
    ├── VerificationError        numbers differ from the recorded or expected ones
    └── MissingExtraError        an optional part of LeanBERT is not installed

    LeanBertWarning (UserWarning)
"""

from __future__ import annotations

__all__ = [
    "BundleCorruptError",
    "BundleError",
    "BundleNotFoundError",
    "BundleVersionError",
    "EngineError",
    "InputError",
    "LeanBertError",
    "LeanBertWarning",
    "MissingExtraError",
    "TaskError",
    "VerificationError",
]


class LeanBertError(Exception):
    """Base of all errors that LeanBERT raises on purpose."""


class BundleError(LeanBertError):
    """A model directory cannot be used."""


class BundleNotFoundError(BundleError):
    """The bundle, or a file that it must have, is missing."""


class BundleCorruptError(BundleError):
    """A file of the bundle differs from what its manifest says, or cannot be read."""


class BundleVersionError(BundleError):
    """The bundle's format version is not known to this version of LeanBERT."""


class InputError(LeanBertError, ValueError):
    """A text, an argument or an input file cannot be used."""


class TaskError(LeanBertError, ValueError):
    """The task is unknown, or the model at hand does not do it."""


class EngineError(LeanBertError):
    """The engine refused the graph or failed while running it."""


class VerificationError(LeanBertError):
    """Computed numbers differ from the recorded or expected ones by more than is allowed."""


class MissingExtraError(LeanBertError):
    """An optional part of LeanBERT is needed but not installed."""


class LeanBertWarning(UserWarning):
    """Base of LeanBERT's warnings."""
