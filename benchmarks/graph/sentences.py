"""Whole pipelines as a user calls them: sentences a second, and seconds to the first answer.

Back ends take turns, each in a process of its own (``python -m sentences KIND``). Tokenization is
part of what is timed.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contestants import Contestant, all_closed, interval
from leanbert_bench.backends import Model, backend_class
from leanbert_bench.runner import WorkerProcess
from leanbert_bench.statistics import estimate, median, paired_ratios
from leanbert_bench.worker import Message, serve

BATCH_SIZES = (1, 32)
"""Of transformers' pipelines, which do not choose one themselves."""

_SEED = 0
_WARM_UP = 32  # sentences
_TASK = "text-classification"

Json = dict[str, Any]
Say = Callable[[str], None]


_HOME = "leanbert_bench.backends"
FACTORIES = {
    "leanbert": f"{_HOME}.leanbert:GivenBundle",
    "optimum": f"{_HOME}.optimum:OptimumInt8",
    "torch": f"{_HOME}.transformers:TransformersPipeline",
}
"""The back end of each kind of contestant."""


@dataclass
class Rates:
    """What one back end did with one batch size."""

    name: str
    kind: str
    batch_size: int | None
    """``None`` leaves it to the pipeline."""
    per_second: list[float] = field(default_factory=list)
    """One value a chunk."""


def chunks(sentences: Sequence[str], size: int, count: int) -> list[list[str]]:
    """``count`` chunks of seeded, shuffled sentences; a short list is gone through again."""
    random_order = random.Random(_SEED)  # noqa: S311 - an order, not a secret
    drawn: list[str] = []
    while len(drawn) < size * count:
        drawn += random_order.sample(list(sentences), len(sentences))
    return [drawn[i * size : (i + 1) * size] for i in range(count)]


def end_to_end(
    contestants: Sequence[Contestant],
    sentences: Sequence[str],
    *,
    threads: int,
    chunk: int,
    turns: int,
    say: Say,
) -> Json:
    """Sentences a second of every back end, and LeanBERT's ratios to the best of each peer.

    Args:
        contestants: of the kinds of :data:`FACTORIES`.
        sentences: what is answered, in a seeded order.
        threads: the budget of each.
        chunk: sentences of a turn, the same for every back end.
        turns: how many chunks.
        say: gets a line a step.

    Raises:
        WorkerError: a back end failed.
    """
    rates: list[tuple[str, Rates]] = []
    workers: dict[str, WorkerProcess] = {}
    with all_closed(workers):
        for who in contestants:
            say(f"{who.name}: load")
            workers[who.name] = WorkerProcess(who.kind, threads, "sentences")
            workers[who.name].ask("load", model=str(who.model.absolute()), threads=threads)
            sizes = (None,) if who.kind == "leanbert" else BATCH_SIZES
            for size in sizes:
                name = who.name if size is None else f"{who.name}, batch {size}"
                rates.append((who.name, Rates(name, who.kind, size)))
                _answer(workers[who.name], sentences[:_WARM_UP], size)
        for turn, texts in enumerate(chunks(sentences, chunk, turns)):
            say(f"chunk {turn + 1} of {turns}")
            for i in range(len(rates)):  # whoever begins differs from turn to turn
                worker, row = rates[(turn + i) % len(rates)]
                seconds = _answer(workers[worker], texts, row.batch_size)
                row.per_second.append(len(texts) / seconds)
    return summary([row for _, row in rates])


def _answer(worker: WorkerProcess, texts: Sequence[str], batch_size: int | None) -> float:
    options = {} if batch_size is None else {"batch_size": batch_size}
    reply = worker.ask("answer", texts=list(texts), options=options)
    return float(reply["seconds"])


def summary(rates: Sequence[Rates]) -> Json:
    """The rates, with those of LeanBERT over the best of each peer, chunk by chunk."""
    best: dict[str, Rates] = {}
    for row in rates:
        if row.kind != "leanbert" and (
            row.kind not in best or median(row.per_second) > median(best[row.kind].per_second)
        ):
            best[row.kind] = row
    rows = []
    for row in rates:
        found: Json = {"name": row.name, "per_second": asdict(estimate(row.per_second))}
        if row.kind == "leanbert":
            found["ratios"] = {
                peer.name: asdict(estimate(paired_ratios(row.per_second, peer.per_second)))
                for peer in best.values()
            }
        rows.append(found)
    return {"rows": rows}


def end_to_end_markdown(found: Json) -> str:
    """A line a back end."""
    peers = list(dict.fromkeys(name for row in found["rows"] for name in row.get("ratios", {})))
    lines = ["| | sentences/s | " + " | ".join(f"× {name}" for name in peers) + " |"]
    lines.append("|---" * (2 + len(peers)) + "|")
    for row in found["rows"]:
        cells = [row["name"], f"{row['per_second']['median']:.1f}"]
        cells += [interval(row["ratios"][name]) if "ratios" in row else "" for name in peers]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def load_times(
    contestants: Sequence[Contestant],
    text: str,
    *,
    threads: int,
    turns: int,
    say: Say,
) -> Json:
    """Seconds from ``pipeline(...)`` to its first answer, each in a fresh process after imports.

    The first turn is discarded: it reads the files into the page cache.

    Raises:
        WorkerError: a back end failed.
    """
    found: dict[str, list[float]] = {who.name: [] for who in contestants}
    for turn in range(turns + 1):
        say(f"load {turn} of {turns}" if turn else "load, to be discarded")
        for who in contestants:
            with WorkerProcess(FACTORIES[who.kind], threads) as worker:
                reply = worker.ask(
                    "load",
                    model=str(who.model.absolute()),
                    task=_TASK,
                    threads=threads,
                    items=[text],
                )
            if turn:
                found[who.name].append(reply["load_s"] + reply["first_forward_s"])
    return {"rows": [{"name": name, "seconds": asdict(estimate(s))} for name, s in found.items()]}


def load_markdown(found: Json) -> str:
    """A line a back end."""
    lines = ["| | seconds to the first answer (95%) |", "|---|---|"]
    lines += [f"| {row['name']} | {interval(row['seconds'], 3)} |" for row in found["rows"]]
    return "\n".join(lines) + "\n"


class _Worker:
    def __init__(self, kind: str) -> None:
        self._kind = backend_class(FACTORIES[kind])

    def load(self, message: Message) -> Message:
        self._backend: Any = self._kind(
            Model(Path(message["model"]), None, _TASK, message["threads"])
        )
        self._backend.load()
        return {}

    def answer(self, message: Message) -> Message:
        start = time.perf_counter()
        self._backend.many(message["texts"], **message["options"])
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    serving = _Worker(sys.argv[1])
    serve({"load": serving.load, "answer": serving.answer})
    sys.exit(0)
