"""What the tokenizers library raises: bare exceptions, and panics that are no ``Exception``."""

from __future__ import annotations

__all__ = ["failure"]

_PANIC = "PanicException"  # of pyo3_runtime, a module that cannot be imported


def failure(error: BaseException) -> str | None:
    """The first line of an error that the tokenizers library raised; ``None`` for any other."""
    if type(error) not in (Exception, ValueError) and type(error).__name__ != _PANIC:
        return None
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "it does not say why"
