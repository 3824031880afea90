"""The errors of an export, below :class:`leanbert.errors.LeanBertError`."""

from leanbert.errors import InputError, LeanBertError

__all__ = [
    "CheckpointError",
    "ExportError",
    "GateError",
    "OutputExistsError",
    "ProofError",
    "first_line",
]


def first_line(error: BaseException) -> str:
    """A library's message in one line, or the kind of error where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class ExportError(LeanBertError):
    """The export failed; nothing was written."""


class CheckpointError(ExportError):
    """The checkpoint is missing, incomplete, or of a kind that LeanBERT cannot export."""


class ProofError(ExportError):
    """The graph does not say what PyTorch says."""


class GateError(ExportError):
    """The int8 graph is less accurate than it may be."""


class OutputExistsError(ExportError, InputError):
    """The output directory is there already."""
