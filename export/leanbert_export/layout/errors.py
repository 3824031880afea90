"""Why an encoder has no layout."""

from __future__ import annotations

__all__ = ["NoLayoutError"]


class NoLayoutError(Exception):
    """The native engine does not compute this encoder; the message is a clause that says why."""
