"""What went wrong between here and the hub, in one line, for every version of huggingface_hub.

Its versions 0.x raise the errors of requests, 1.x those of httpx and 2.x those of httpx2. Its own
errors have kept their names meanwhile, so errors are known by the names of their classes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from leanbert.bundle.values import brief

__all__ = ["Failure", "explain"]

_TRANSPORTS = frozenset({"httpcore", "httpcore2", "httpx", "httpx2", "requests", "urllib3"})
_LONGEST = 200  # characters of a message that is not ours


_KNOWN = (
    ("OfflineModeIsEnabled", "HF_HUB_OFFLINE is set", "unreachable"),
    (
        "GatedRepoError",
        "its owner must let you in ({status}): ask for access on its page, and set HF_TOKEN to a "
        "token of yours",
        "refused",
    ),
    ("RevisionNotFoundError", "it has no revision {revision} ({status})", "missing"),
    (
        "RepositoryNotFoundError",
        "there is no such directory here, and no such repository on the hub ({status}); for a "
        "private one set HF_TOKEN to a token that may read it",
        "missing",
    ),
    ("LocalEntryNotFoundError", "the hub cannot be reached ({root})", "unreachable"),
    ("EntryNotFoundError", "a file is missing on the hub ({said})", "missing"),
    ("HFValidationError", "{said}", "refused"),
)
"""Errors of huggingface_hub, each after those that are derived from it; what to say; its kind."""


@dataclass(frozen=True)
class Failure:
    """Why a request failed."""

    reason: str
    """A clause, for example ``"the hub cannot be reached (Connection refused)"``."""
    unreachable: bool = False
    """Whether the hub did not answer, or could not: what is in the cache may serve instead."""
    missing: bool = False
    """Whether the hub says that there is no such thing."""


def explain(error: Exception, revision: str | None) -> Failure | None:
    """Why ``error`` was raised.

    Args:
        error: what a function of huggingface_hub raised.
        revision: what was asked for; ``None`` for the repository's main branch.

    Returns:
        The failure; ``None`` for an error that neither the hub nor the network made.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", None)
    for name, said, kind in _KNOWN:
        if name in names:
            reason = said.format(
                status=status,
                revision=brief(revision or "main"),
                said=_said(error),
                root=_root(error),
            )
            return Failure(reason, missing=kind == "missing", unreachable=kind == "unreachable")
    if status in (401, 403):
        return Failure(
            f"the hub refuses it ({status}): set HF_TOKEN to a token that may read it, or unset a "
            "wrong one"
        )
    if status is not None:
        return Failure(f"the hub answers {status}", unreachable=status == 429 or status >= 500)
    if _is_of_network(error):
        return Failure(f"the hub cannot be reached ({_root(error)})", unreachable=True)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(f"it cannot be stored ({where}{error.strerror or _said(error)})")
    return None


def _is_of_network(error: Exception) -> bool:
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if packages & _TRANSPORTS:
        return True
    # huggingface_hub raises a bare OSError where a download ended before its end.
    broken = type(error) is OSError and error.errno is None
    return broken or isinstance(error, ConnectionError | TimeoutError | socket.gaierror)


def _root(error: BaseException) -> str:
    """The innermost reason: the system's, where it gave one."""
    causes = list(_chain(error))
    for cause in reversed(causes):
        if isinstance(cause, OSError) and isinstance(cause.strerror, str) and cause.strerror:
            return cause.strerror
    return next((_said(cause) for cause in reversed(causes) if str(cause)), _said(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, also where that stands in an error's arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [*found.args, getattr(found, "reason", None)]
            waiting += [found.__cause__, found.__context__]


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:_LONGEST] if lines else type(error).__name__
