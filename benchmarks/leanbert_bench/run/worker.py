"""The worker process: one back end, one JSON command per line of stdin, one answer on stdout.

Between commands it blocks on stdin, so that a waiting back end takes nothing from the one that
is being measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leanbert_bench.backends import Backend, Model, backend_class, start
from leanbert_bench.backends.base import random_inputs
from leanbert_bench.run.resident import peak_memory, resident_memory
from leanbert_bench.run.scenarios import arrivals, latencies, poisson

Message = dict[str, Any]


class _Worker:
    """Executes commands; each method in :attr:`commands` takes and gives a JSON object."""

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._kind = backend_class(factory)
        self._backend: Backend | None = None
        self._warm_offline = False
        self.commands: dict[str, Callable[[Message], Message]] = {
            "prepare": self._prepare,
            "load": self._load,
            "grid": self._grid,
            "latency": self._latency,
            "offline": self._offline,
            "server": self._server,
            "lengths": self._lengths,
            "scores": self._scores,
            "predict": self._predict,
            "mixed": self._mixed,
            "memory": self._memory,
        }

    def _prepare(self, message: Message) -> Message:
        from leanbert_bench.run.preparing import NotPreparedError, Preparation, seconds_spent

        preparation = Preparation(
            checkpoint=Path(message["checkpoint"]),
            task=message["task"],
            cache=Path(message["cache"]),
            weights_sha256=message["weights_sha256"],
            calibration_rows=message["calibration_rows"],
            only_cached=message["only_cached"],
        )
        try:
            made = self._kind.prepare(preparation)
        except NotPreparedError:
            return {"model": None, "seconds": 0.0}
        return {"model": str(made), "seconds": seconds_spent(made) or 0.0}

    def _load(self, message: Message) -> Message:
        checkpoint = message.get("checkpoint")
        model = Model(
            Path(message["model"]),
            Path(checkpoint) if checkpoint else None,
            message["task"],
            message["threads"],
        )
        started = start(self._factory, model, message["items"][0])
        self._backend = backend = started.backend
        return {
            "load_s": started.load_s,
            "first_forward_s": started.first_forward_s,
            "size": backend.size(),
            "threads_set": backend.threads_set,
            "about": backend.about(),
        }

    def _grid(self, message: Message) -> Message:
        backend = self._loaded
        inputs = random_inputs(message["rows"], message["length"], message["vocabulary"])
        found = latencies(
            lambda _: backend.forward(inputs),
            range(message["most"]),
            warmup=message["warmup"],
            seconds=message["seconds"],
        )
        return {"ms": found}

    def _latency(self, message: Message) -> Message:
        found = latencies(
            self._loaded.answer,
            message["items"],
            size=message["size"],
            warmup=message["warmup"],
            seconds=message["seconds"],
        )
        return {"ms": found}

    def _offline(self, message: Message) -> Message:
        backend, items = self._loaded, message["items"]
        if not self._warm_offline:
            backend.many(items[: message["warmup"]])
            self._warm_offline = True
        start = time.perf_counter()
        backend.many(items)
        end = time.perf_counter()
        tokenization = None
        if isinstance(items[0], str):
            backend.tokenize(items)
            tokenization = time.perf_counter() - end
        return {"seconds": end - start, "tokenization_s": tokenization}

    def _server(self, message: Message) -> Message:
        backend = self._loaded
        for item in message["items"][:3]:
            backend.answer([item])
        times = arrivals(message["qps"], message["queries"], message["seed"])
        p99, held = poisson(backend.answer, message["items"], times, message["bound_ms"])
        return {"p99_ms": p99, "held": held}

    def _lengths(self, message: Message) -> Message:
        return {"lengths": [len(row) for row in self._loaded.tokenize(message["texts"])]}

    def _scores(self, message: Message) -> Message:
        backend = self._loaded
        found = backend.scores_of_texts(message["texts"], message["batches"])
        return {"scores": [[round(float(value), 7) for value in row] for row in found]}

    def _predict(self, message: Message) -> Message:
        found = [_bare(self._loaded.answer([item])) for item in message["items"]]
        return {"answers": json.loads(json.dumps(found, default=_plain))}

    def _mixed(self, message: Message) -> Message:
        from leanbert_bench.run.workload import mixed_texts

        backend, chunk = self._loaded, message["chunk"]
        texts: Sequence[str] = mixed_texts(message["first"], message["count"])
        begin = time.perf_counter()
        done = 0
        while done < len(texts) and time.perf_counter() - begin < message["seconds"]:
            backend.many(texts[done : done + chunk])
            done += chunk
        return {"done": min(done, len(texts)), "rss_mib": resident_memory()}

    def _memory(self, _: Message) -> Message:
        return {"peak_mib": peak_memory(), "rss_mib": resident_memory()}

    @property
    def _loaded(self) -> Backend:
        if self._backend is None:
            raise RuntimeError("asked before load")
        return self._backend


def _bare(answer: Any) -> Any:
    """Take the answer of one item out of the list that some back ends put it in."""
    nested = isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], list)
    return answer[0] if nested else answer


def _plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays into what JSON knows."""
    return value.tolist()


def serve(commands: Mapping[str, Callable[[Message], Message]]) -> None:
    """Execute the commands that stdin names until it closes."""
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
    serve(_Worker(sys.argv[1]).commands)
    return 0


if __name__ == "__main__":
    sys.exit(main())
