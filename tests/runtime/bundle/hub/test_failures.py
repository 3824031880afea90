"""Errors of huggingface_hub and of the libraries below it, each said in one clause."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from leanbert.bundle.hub.failures import explain


def made(name: str, base: type[Exception] = OSError, module: str = "huggingface_hub.errors") -> Any:
    return type(name, (base,), {"__module__": module})


def answered(name: str, status: int, base: type[Exception] = OSError) -> Exception:
    error: Exception = made(name, base)("a long story\nin lines")
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


Repository = made("RepositoryNotFoundError")


@pytest.mark.parametrize(
    ("error", "said", "unreachable", "missing"),
    [
        (answered("GatedRepoError", 403, Repository), "its owner must let you in (403): ask", 0, 0),
        (answered("RepositoryNotFoundError", 401), "no such repository on the hub (401)", 0, 1),
        (answered("RevisionNotFoundError", 404), "it has no revision 'v1' (404)", 0, 1),
        (answered("RemoteEntryNotFoundError", 404, made("EntryNotFoundError")), "is missing", 0, 1),
        (answered("HfHubHTTPError", 401), "refuses it (401): set HF_TOKEN", 0, 0),
        (answered("HfHubHTTPError", 429), "the hub answers 429", 1, 0),
        (answered("HfHubHTTPError", 503), "the hub answers 503", 1, 0),
        (answered("HfHubHTTPError", 418), "the hub answers 418", 0, 0),
        (made("OfflineModeIsEnabled")("x"), "HF_HUB_OFFLINE is set", 1, 0),
        (made("HFValidationError", ValueError)("Repo id: wrong\nx"), "Repo id: wrong", 0, 0),
        (made("ConnectError", Exception, "httpx")("All attempts failed"), "(All attempts", 1, 0),
        (made("ReadTimeout", Exception, "httpx2")(""), "cannot be reached (ReadTimeout)", 1, 0),
        (socket.gaierror(-2, "Name or service not known"), "(Name or service not known)", 1, 0),
        (OSError("Consistency check failed"), "reached (Consistency check failed)", 1, 0),
        (PermissionError(errno.EACCES, "Permission denied", "/c"), "stored (/c: Permission", 0, 0),
        (OSError(errno.ENOSPC, "No space left on device"), "stored (No space left on", 0, 0),
    ],
)  # fmt: skip
def test_what_is_said(error: Exception, said: str, unreachable: int, missing: int) -> None:
    failure = explain(error, "v1")
    assert failure is not None
    assert said in failure.reason
    assert "\n" not in failure.reason
    assert (failure.unreachable, failure.missing) == (bool(unreachable), bool(missing))


def test_the_innermost_reason() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    retries = made("MaxRetryError", Exception, "urllib3.exceptions")("pool: Max retries exceeded")
    retries.reason = refused
    outer = made("ConnectionError", OSError, "requests.exceptions")(retries)
    local = made("LocalEntryNotFoundError", FileNotFoundError)("An error happened")
    local.__cause__ = outer
    for error in (retries, outer, local):
        failure = explain(error, None)
        assert failure is not None
        assert failure.reason == "the hub cannot be reached (Connection refused)"
        assert failure.unreachable


def test_errors_of_programs_are_not_explained() -> None:
    assert explain(TypeError("unexpected keyword"), None) is None
    assert explain(KeyError("sha"), None) is None
