"""A server on this machine that speaks the Hugging Face hub's protocol, as far as models need it.

It answers the description of a repository at a revision (``/api/models/ID/revision/REV``) and its
files (``/ID/resolve/REV/FILE``). Files over :data:`LARGE` are as in Git LFS: the hub redirects to
another address, and its headers give the sha256.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

__all__ = ["COMMIT", "Hub", "Repository", "ask_it", "serving"]

LARGE = 5_000  # bytes
COMMIT = "0123456789abcdef0123456789abcdef01234567"

_VARIABLES = ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE")
_INFO = re.compile(r"/api/models/([^/]+/[^/]+)/revision/(.+)")
_MAIN = re.compile(r"/api/models/([^/]+/[^/]+)")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Repository:
    """A repository: its files by name, and its revisions."""

    files: dict[str, bytes]
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    """The commit of each branch and tag; all commits have the same files."""
    gated: bool = False
    token: str | None = None
    """A private repository's; who does not send it is told that there is none."""
    wrong: dict[str, bytes] = field(default_factory=dict)
    """Content that is sent in place of a file's own, whose size and hash are listed."""

    @classmethod
    def of(cls, *folders: Path, **options: Any) -> Repository:
        """Of all files in some folders."""
        return cls(
            {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for folder in folders
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
            **options,
        )

    def commit(self, revision: str) -> str | None:
        """The commit that a revision means."""
        return revision if revision in self.revisions.values() else self.revisions.get(revision)


@dataclass
class Hub:
    """What the server serves, how it misbehaves, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    url: str = ""
    elsewhere: str = ""
    """The address of large files, which is another host's."""
    status: int | None = None
    """Answered to everything, for example 503."""
    break_off: int | None = None
    """Large files end after so many bytes."""
    hold: threading.Event | None = None
    """Large files stop at their half until it is set."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """The method, the path and the header ``Range`` of each request."""
    agents: set[str] = field(default_factory=set)

    def fetched(self) -> list[str]:
        """The names of the files whose content was asked for, in order."""
        large = {
            f"/large/{_sha256(content)}": file
            for repository in self.repositories.values()
            for file, content in repository.files.items()
        }
        found = []
        for method, path, _ in self.requests:
            match = _FILE.fullmatch(path)
            if method == "GET" and (path in large or match):
                found.append(match[3] if match else large[path])
        return found


@contextmanager
def serving(**repositories: Repository) -> Iterator[Hub]:
    """Serve repositories; ``owner__name`` is the key of ``owner/name``."""
    hub = Hub({key.replace("__", "/"): value for key, value in repositories.items()})

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    hub.elsewhere = hub.url.replace("127.0.0.1", "localhost")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask_it(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have processes that are started ask the server, with the cache below ``home``."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(home))


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing: tests read ``requests``."""

    def _answer(self) -> None:
        hub, path = self.served, unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        hub.agents.add(self.headers.get("User-Agent", ""))
        if hub.status is not None:
            self._send(hub.status, b"")
        elif path.startswith("/large/"):
            self._large(path.rpartition("/")[2])
        elif found := (_INFO.fullmatch(path) or _MAIN.fullmatch(path)):
            self._info(found[1], found[2] if found.re is _INFO else "main")
        elif found := _FILE.fullmatch(path):
            self._file(*found.groups())
        else:
            self._send(404, b"")

    def _repository(self, name: str) -> Repository | None:
        found = self.served.repositories.get(name)
        sent = self.headers.get("Authorization")
        if found is None or (found.token and sent != f"Bearer {found.token}"):
            code = 404 if sent else 401
            self._send(code, b"{}", {"X-Error-Code": "RepoNotFound"})
            return None
        return found

    def _info(self, name: str, revision: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        commit = repository.commit(revision)
        if commit is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [
            {
                "rfilename": file,
                "size": len(content),
                "blobId": _git_name(content),
                **(
                    {"lfs": {"sha256": _sha256(content), "size": len(content), "pointerSize": 130}}
                    if len(content) > LARGE
                    else {}
                ),
            }
            for file, content in repository.files.items()
        ]
        about: dict[str, Any] = {
            "_id": "1",
            "id": name,
            "modelId": name,
            "sha": commit,
            "siblings": siblings,
        }
        about |= {"private": False, "tags": [], "downloads": 0, "gated": repository.gated}
        self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        commit, content = repository.commit(revision), repository.files.get(file)
        if repository.gated and not self.headers.get("Authorization"):
            self._send(401, b"", {"X-Error-Code": "GatedRepo"})
        elif commit is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif content is None:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            self._send(404, b"", headers)
        elif len(content) > LARGE:
            headers = {
                "X-Repo-Commit": commit,
                "X-Linked-ETag": f'"{_sha256(content)}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.served.elsewhere}/large/{_sha256(content)}",
            }
            self._send(302, b"", headers)
        else:
            headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_name(content)}"'}
            self._send(200, repository.wrong.get(file, content), headers)

    def _large(self, digest: str) -> None:
        name, found = next(
            (file, repository.wrong.get(file, content))
            for repository in self.served.repositories.values()
            for file, content in repository.files.items()
            if _sha256(content) == digest
        )
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        headers = {"Content-Disposition": f'inline; filename="{name.rpartition("/")[2]}";'}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(found) - 1}/{len(found)}"
        self._send(206 if asked else 200, found[start:], headers, end=self.served.break_off)

    def _send(
        self,
        code: int,
        content: bytes,
        headers: Mapping[str, str] | None = None,
        end: int | None = None,
    ) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(ConnectionError):  # who asked may be gone
            hold = self.served.hold if len(content) > LARGE else None
            half = len(content) // 2 if hold else 0
            self.wfile.write(content[:half])
            if hold:
                hold.wait(60)
            self.wfile.write(content[half:end])
        if end is not None and end < len(content):
            self.close_connection = True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's
