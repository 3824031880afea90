"""Every error that LeanBERT raises on purpose, each a single line: what, where and what to do.

::

    LeanBertError
    ├── BundleError              a model directory cannot be used
    │   ├── BundleNotFoundError (FileNotFoundError)   it, or one of its files, is missing
    │   ├── BundleCorruptError       a file differs from what its manifest says
    │   └── BundleVersionError       its format is newer than this LeanBERT
    ├── InputError (ValueError)  a text, an argument or an input file cannot be used
    ├── TaskError (ValueError)   this model does not do that task
    ├── EngineError              the engine refused the graph or failed to run it
    ├── VerificationError        numbers differ from the recorded or expected ones
    └── MissingExtraError (ImportError)   an optional part of LeanBERT is not installed

    LeanBertWarning (UserWarning)
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from leanbert.shown import shown

if TYPE_CHECKING:
    from types import FrameType

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
    "warn",
]


class LeanBertError(Exception):
    """Base of all errors that LeanBERT raises on purpose.

    Its text is one line: control characters that a path, a bundle or a library put into the
    message are escaped, since a terminal would obey them.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


class BundleError(LeanBertError):
    """A model directory cannot be used."""


class BundleNotFoundError(BundleError, FileNotFoundError):
    """The bundle, or a file that it must have, is missing."""


class BundleCorruptError(BundleError):
    """A file of the bundle differs from what its manifest says, or cannot be read."""


class BundleVersionError(BundleError):
    """The bundle's format version is not known to this version of LeanBERT."""


class InputError(LeanBertError, ValueError):
    """A text, an argument or an input file cannot be used."""


class TaskError(LeanBertError, ValueError):
    """The task is unknown, or the model does not do it."""


class EngineError(LeanBertError):
    """The engine refused the graph or failed while running it."""


class VerificationError(LeanBertError):
    """Computed numbers differ from the recorded or expected ones by more than is allowed."""


class MissingExtraError(LeanBertError, ImportError):
    """An optional part of LeanBERT is needed but not installed."""


class LeanBertWarning(UserWarning):
    """Base of LeanBERT's warnings."""


def warn(message: str) -> None:
    """Issue a :class:`LeanBertWarning` that names the line which called LeanBERT.

    The line is that of the innermost frame outside LeanBERT's packages: where a lazy iterator is
    read, the line that reads it.
    """
    level = 2  # 1 is this function
    frame: FrameType | None = sys._getframe(1)  # inspect.stack would read source files
    while frame is not None and _is_own(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(message, LeanBertWarning, stacklevel=level)


def _is_own(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    # contextlib enters LeanBERT's own context managers, such as those that open files
    return package in ("leanbert", "contextlib") or package.startswith("leanbert_")
