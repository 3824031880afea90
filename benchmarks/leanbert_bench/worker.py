"""The child process: one back end, one JSON command a line on stdin, one JSON answer on stdout.

Between commands it blocks on stdin, so that a waiting back end takes nothing from the one that
is being measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert_bench.statistics import median

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leanbert_bench.backends import Backend

__all__ = ["Message", "main", "peak_memory", "serve"]

Message = dict[str, Any]


class _Worker:
    """Does the commands; each method of :attr:`commands` takes and gives a JSON object."""

    def __init__(self, kind: type[Backend]) -> None:
        self._kind = kind
        self._backend: Backend | None = None
        self.commands: dict[str, Callable[[Message], Message]] = {
            "prepare": self._prepare,
            "load": self._load,
            "answers": self._answers,
            "turn": self._turn,
            "memory": self._memory,
        }

    def _prepare(self, message: Message) -> Message:
        made = self._kind.prepare(Path(message["model"]), Path(message["folder"]))
        return {"model": str(made)}

    def _load(self, message: Message) -> Message:
        backend = self._kind(Path(message["model"]), message["threads"])
        backend.import_libraries()
        start = time.perf_counter()
        backend.load()
        backend.one(message["text"])
        seconds = time.perf_counter() - start
        self._backend = backend
        return {"seconds": seconds, "size": backend.size()}

    def _answers(self, message: Message) -> Message:
        return {"answers": self._loaded.answers(message["texts"])}

    def _turn(self, message: Message) -> Message:
        backend, single = self._loaded, []
        for text in message["sample"]:
            start = time.perf_counter()
            backend.one(text)
            single.append(time.perf_counter() - start)
        texts = message["texts"]
        start = time.perf_counter()
        backend.many(texts)
        seconds = time.perf_counter() - start
        return {"latency_ms": 1e3 * median(single), "texts_per_s": len(texts) / seconds}

    def _memory(self, _: Message) -> Message:
        return {"peak_mib": peak_memory()}

    @property
    def _loaded(self) -> Backend:
        if self._backend is None:
            raise RuntimeError("asked before load")
        return self._backend


def peak_memory() -> float | None:
    """The largest resident set of this process so far in MiB; ``None`` where it is not known."""
    # Linux lets ru_maxrss survive an exec, so a child reports at least its parent's peak; VmHWM
    # begins anew with the program.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def serve(commands: Mapping[str, Callable[[Message], Message]]) -> None:
    """Do the commands that stdin names, until it closes."""
    # What libraries print must not end up among the answers.
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    for line in sys.stdin:
        message = json.loads(line)
        try:
            reply = commands[message["do"]](message)
        except Exception as error:  # noqa: BLE001 - whatever it is costs this back end its row
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> int:
    """Serve the back end named ``module:Class`` in the first argument until stdin closes."""
    module, _, name = sys.argv[1].partition(":")
    serve(_Worker(getattr(import_module(module), name)).commands)
    return 0


if __name__ == "__main__":
    sys.exit(main())
