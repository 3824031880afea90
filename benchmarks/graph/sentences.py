"""Whole pipelines as a user calls them: sentences a second, and seconds to the first answer.

Back ends take turns, each in a process of its own (``python -m sentences KIND``). Tokenization is
part of what is timed. The peers' arrangements are their best: transformers' pipelines with batches
of 1 and of 32, OpenVINO with sentences sorted by length and one stream a thread.
"""

from __future__ import annotations

import os
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contestants import Contestant, all_closed, interval
from leanbert.engines.padding import pad
from leanbert_bench.run.process import WorkerProcess
from leanbert_bench.run.worker import Message, serve
from leanbert_bench.statistics import estimate, median, paired_ratios
from tokens import tokenizer

BATCH_SIZES = (1, 32)
"""Of transformers' pipelines, which do not choose one themselves."""

_SEED = 0
_WARM_UP = 32  # sentences
_TASK = "text-classification"
_STREAM_BATCH = 16  # sentences of an OpenVINO request; 32 with one stream was slower

Json = dict[str, Any]
Say = Callable[[str], None]


class Sentences(ABC):
    """One back end with one model.

    Args:
        model: a bundle, a checkpoint, or what the back end's tools made of it.
        threads: how many threads it may use.
    """

    def __init__(self, model: Path, threads: int) -> None:
        self.model = model
        self.threads = threads
        self.import_libraries()

    @abstractmethod
    def import_libraries(self) -> None:
        """Import all that :meth:`load` needs."""

    @abstractmethod
    def load(self, mode: str) -> None:
        """Make the pipeline; ``mode`` is LeanBERT's."""

    @abstractmethod
    def answer(self, texts: Sequence[str], batch_size: int | None) -> object:
        """Answer all texts, as a user would ask for them."""


class LeanBert(Sentences):
    """A bundle on one of LeanBERT's engines, with LeanBERT's defaults."""

    engine: str

    def import_libraries(self) -> None:
        """See :class:`Sentences`."""
        import leanbert.engines.native.engine
        import leanbert.pipelines.text_classification

        if self.engine == "onnxruntime":
            import leanbert.engines.onnxruntime  # noqa: F401 - only to be loaded

    def load(self, mode: str) -> None:
        """See :class:`Sentences`."""
        from leanbert import pipeline

        self._pipeline = pipeline(
            _TASK, self.model, mode=mode, threads=self.threads, engine=self.engine
        )

    def answer(self, texts: Sequence[str], batch_size: int | None) -> object:  # noqa: ARG002
        """See :class:`Sentences`."""
        return self._pipeline(list(texts), truncation=True)


class LeanBertNative(LeanBert):
    """On the native engine."""

    engine = "native"


class LeanBertOnnxRuntime(LeanBert):
    """On ONNX Runtime."""

    engine = "onnxruntime"


class Transformers(Sentences):
    """``transformers.pipeline`` on PyTorch in fp32."""

    _pipeline: Any

    def import_libraries(self) -> None:
        """See :class:`Sentences`."""
        import torch
        import transformers

        torch.set_num_threads(self.threads)
        transformers.logging.set_verbosity_error()
        # lazy modules: touching these imports them
        _ = transformers.pipeline, transformers.AutoModelForSequenceClassification

    def load(self, mode: str) -> None:  # noqa: ARG002 - LeanBERT's alone
        """See :class:`Sentences`."""
        import transformers

        self._pipeline = transformers.pipeline(_TASK, model=str(self.model), device="cpu")
        self._pipeline.model.float()

    def answer(self, texts: Sequence[str], batch_size: int | None) -> object:
        """See :class:`Sentences`."""
        return self._pipeline(list(texts), truncation=True, batch_size=batch_size or 1)


class Optimum(Transformers):
    """Optimum's int8 preset for this CPU in a transformers pipeline."""

    def import_libraries(self) -> None:
        """See :class:`Sentences`."""
        super().import_libraries()
        from optimum.onnxruntime import ORTModelForSequenceClassification  # noqa: F401 - loaded

    def load(self, mode: str) -> None:  # noqa: ARG002 - LeanBERT's alone
        """See :class:`Sentences`."""
        import onnxruntime
        import transformers
        from optimum.onnxruntime import ORTModelForSequenceClassification

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        model = ORTModelForSequenceClassification.from_pretrained(
            str(self.model), file_name="model_quantized.onnx", session_options=options
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(self.model))
        self._pipeline = transformers.pipeline(_TASK, model=model, tokenizer=tokenizer)


class OpenVinoStreams(Sentences):
    """OpenVINO int8: sorted by length, batches of 16, one stream a thread."""

    def import_libraries(self) -> None:
        """See :class:`Sentences`."""
        import openvino  # noqa: F401 - only to be loaded

    def load(self, mode: str) -> None:  # noqa: ARG002 - LeanBERT's alone
        """See :class:`Sentences`."""
        import openvino

        compiled = openvino.Core().compile_model(
            str(self.model / "openvino.xml"),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": self.threads,
                "PERFORMANCE_HINT": "THROUGHPUT",
            },
        )
        self._names = [port.get_any_name() for port in compiled.inputs]
        self._tokenizer = tokenizer(self.model)
        self._queue = openvino.AsyncInferQueue(compiled, self.threads)

    def answer(self, texts: Sequence[str], batch_size: int | None) -> object:
        """See :class:`Sentences`."""
        tokens = self._tokenizer.encode(list(texts), truncation=True)
        order = sorted(range(len(texts)), key=lambda i: -tokens.lengths[i])
        found: dict[int, Any] = {}

        def keep(request: Any, batch: list[int]) -> None:
            rows = request.get_output_tensor(0).data.copy()
            found.update(zip(batch, rows, strict=True))

        self._queue.set_callback(keep)
        size = batch_size or _STREAM_BATCH
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            inputs = pad(tokens.take(batch), 0)
            self._queue.start_async({name: inputs[name] for name in self._names}, batch)
        self._queue.wait_all()
        return [int(found[i].argmax()) for i in range(len(texts))]


KINDS: dict[str, type[Sentences]] = {
    "leanbert-native": LeanBertNative,
    "leanbert-onnxruntime": LeanBertOnnxRuntime,
    "openvino": OpenVinoStreams,
    "optimum": Optimum,
    "torch": Transformers,
}


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
        contestants: of the kinds of :data:`KINDS`.
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
            workers[who.name] = _started(who, threads, "throughput")
            sizes = BATCH_SIZES if who.kind in ("optimum", "torch") else (None,)
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


def _started(who: Contestant, threads: int, mode: str) -> WorkerProcess:
    worker = WorkerProcess(who.kind, threads, "sentences")
    try:
        model = str(who.model.absolute())
        worker.ask("prepare", model=model, threads=threads, isa=who.isa, mode=mode)
    except BaseException:
        worker.close(at_once=True)
        raise
    return worker


def _answer(worker: WorkerProcess, texts: Sequence[str], batch_size: int | None) -> float:
    reply = worker.ask("answer", texts=list(texts), batch_size=batch_size)
    return float(reply["seconds"])


def summary(rates: Sequence[Rates]) -> Json:
    """The rates, with those of LeanBERT over the best of each peer, chunk by chunk."""
    best: dict[str, Rates] = {}
    for row in rates:
        if not row.kind.startswith("leanbert") and (
            row.kind not in best or median(row.per_second) > median(best[row.kind].per_second)
        ):
            best[row.kind] = row
    rows = []
    for row in rates:
        found: Json = {"name": row.name, "per_second": asdict(estimate(row.per_second))}
        if row.kind.startswith("leanbert"):
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

    The resident set is that of the whole process after the answer, and what it grew by since the
    imports. The first turn is discarded: it reads the files into the page cache.

    Raises:
        WorkerError: a back end failed.
    """
    found: dict[str, list[Json]] = {who.name: [] for who in contestants}
    for turn in range(turns + 1):
        say(f"load {turn} of {turns}" if turn else "load, to be discarded")
        for who in contestants:
            worker = WorkerProcess(who.kind, threads, "sentences")
            with worker:
                model = str(who.model.absolute())
                worker.ask(
                    "prepare", model=model, threads=threads, isa=who.isa, mode="latency", load=False
                )
                reply = worker.ask("first", text=text)
            if turn:
                found[who.name].append(reply)
    names = ("seconds", "resident_mib", "grown_mib")
    return {
        "rows": [
            {"name": who, **{name: asdict(estimate([r[name] for r in row])) for name in names}}
            for who, row in found.items()
        ]
    }


def load_markdown(found: Json) -> str:
    """A line a back end."""
    lines = [
        "| | seconds to the first answer (95%) | resident, MiB | of it since the imports, MiB |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {interval(row['seconds'], 3)} | {row['resident_mib']['median']:.0f} | "
        f"{row['grown_mib']['median']:.0f} |"
        for row in found["rows"]
    ]
    return "\n".join(lines) + "\n"


def _resident() -> float:
    """MiB of this process in memory; Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class _Worker:
    def __init__(self, kind: str) -> None:
        self._kind = KINDS[kind]

    def prepare(self, message: Message) -> Message:
        if message["isa"]:
            os.environ["LEANBERT_ISA"] = message["isa"]
        self._backend = self._kind(Path(message["model"]), message["threads"])
        self._mode = message["mode"]
        if message.get("load", True):
            self._backend.load(self._mode)
        return {}

    def first(self, message: Message) -> Message:
        before = _resident()
        start = time.perf_counter()
        self._backend.load(self._mode)
        self._backend.answer([message["text"]], None)
        seconds = time.perf_counter() - start
        after = _resident()
        return {"seconds": seconds, "resident_mib": after, "grown_mib": after - before}

    def answer(self, message: Message) -> Message:
        start = time.perf_counter()
        self._backend.answer(message["texts"], message["batch_size"])
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    serving = _Worker(sys.argv[1])
    serve({"prepare": serving.prepare, "first": serving.first, "answer": serving.answer})
    sys.exit(0)
