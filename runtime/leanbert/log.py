"""What LeanBERT says to a host's log: lines of the logger ``leanbert``, all of level INFO or DEBUG.

A program that has not imported ``logging`` has nobody who could listen. So it is not imported here,
where it would make the first answer later by some milliseconds.
"""

from __future__ import annotations

import sys

__all__ = ["log_debug", "log_info"]


def log_info(message: str, *values: object) -> None:
    """Say what happens once in a pipeline's life; ``message`` is formatted by ``%`` if shown."""
    _log("info", message, values)


def log_debug(message: str, *values: object) -> None:
    """Say what may happen at every call, likewise."""
    _log("debug", message, values)


def _log(level: str, message: str, values: tuple[object, ...]) -> None:
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "NullHandler"):  # or another thread imports it now
        return
    logger = logging.getLogger("leanbert")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    getattr(logger, level)(message, *values)
