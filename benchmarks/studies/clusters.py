"""Compare Ray Data and Spark on this machine's cores with one process that uses all of them.

The headlines are answered in memory by a pipeline in throughput mode, then by the cluster, whose
workers have one core each, then by the pipeline again; no cluster runs while the pipeline does.
The cluster's time begins when the last worker begins its first batch, so that start-up is left
out, and ends when the whole answer is there. Of batches that are under way when it begins, the
rows count by the share of their time that is left.
The environment is that of make clusters.

examples:
  python -m studies.clusters ray --rows 60000 -o benchmarks/results/cluster-ray.json
  python -m studies.clusters spark --turns 3
  python -m studies.clusters ray --table benchmarks/results/cluster-ray.json
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from leanbert import __version__, pipeline
from leanbert.cpu import allowed_cores, cpu_name
from leanbert.errors import InputError
from leanbert.shown import counted
from leanbert_bench.provenance import installed
from leanbert_bench.statistics import median
from studies.command_line import Json, measure_or_show, new_parser
from studies.files import headlines

_BLOCKS = 5_000  # most rows of a block or partition

Job = Callable[[], int]
"""Answers all rows and returns their number."""


def noted(folder: Path, rows: int, began: float) -> None:
    """Append what a worker did until now to a file of its own."""
    with Path(folder, str(os.getpid())).open("a", encoding="utf-8") as file:
        file.write(f"{began} {time.time()} {rows}\n")


def rate(folder: Path, ended: float, workers: int) -> float:
    """Rows per second from when the last worker began its first batch.

    Raises:
        InputError: fewer workers than ``workers`` answered anything.
    """
    batches = []
    for path in folder.iterdir():
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        batches.append([(float(began), float(done), int(rows)) for began, done, rows in lines])
    if len(batches) < workers:
        raise InputError(f"{len(batches)} of {workers} workers answered rows; pass more --rows")
    start = max(min(began for began, *_ in of_one) for of_one in batches)
    rows = sum(
        count * (done - max(began, start)) / (done - began)
        for of_one in batches
        for began, done, count in of_one
        if done > start
    )
    return rows / (ended - start)


@contextmanager
def on_ray(texts: Sequence[str], folder: Path, workers: int) -> Iterator[Job]:
    """A Ray cluster of nodes with one core each; the blocks wait in its object store."""
    import pyarrow as pa
    import ray
    from ray.cluster_utils import Cluster

    from leanbert.integrations.ray import Predictor, placement

    class Noting(Predictor):
        def __call__(self, batch: Any) -> Any:
            began = time.time()
            answered = super().__call__(batch)
            noted(folder, batch.num_rows, began)
            return answered

    node = {"num_cpus": 1, "object_store_memory": 256 << 20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    for _ in range(workers - 1):
        nodes.add_node(**node)
    ray.init(address=nodes.address, logging_level="error", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    cuts = range(0, len(texts), _BLOCKS)
    news = ray.data.from_arrow([pa.table({"text": texts[at : at + _BLOCKS]}) for at in cuts])

    def job() -> int:
        given = placement(workers=workers)
        return int(news.map_batches(Noting, **given).materialize().count())

    yield job
    ray.shutdown()
    nodes.shutdown()


@contextmanager
def on_spark(texts: Sequence[str], folder: Path, workers: int) -> Iterator[Job]:
    """Spark's executors with one core each; the rows wait in their memory."""
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from leanbert.integrations.spark import Predictor, configuration

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    given = {"spark.ui.enabled": "false", **configuration(1)}
    builder = SparkSession.builder.master(f"local-cluster[{workers},1,1024]")
    session = builder.config(map=given).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    frame = session.createDataFrame(pa.table({"text": list(texts)}))
    frame = frame.repartition(-(-len(texts) // _BLOCKS)).cache()
    frame.count()
    predictor = Predictor(frame)

    def answers(batches: Iterator[Any]) -> Iterator[Any]:
        predictor.opened()
        for batch in batches:
            began = time.time()
            yield from predictor.in_arrow(iter([batch]))
            noted(folder, batch.num_rows, began)

    def job() -> int:
        before = predictor.rows.value
        scored = frame.mapInArrow(answers, predictor.schema)
        scored.write.format("noop").mode("overwrite").save()
        return int(predictor.rows.value - before)

    yield job
    session.stop()


ENGINES: dict[str, Callable[..., AbstractContextManager[Job]]] = {
    "ray": on_ray,
    "spark": on_spark,
}
_PACKAGES = {"ray": "ray", "spark": "pyspark"}


def measure(engine: str, rows: int, turns: int) -> Json:
    """Measure the pipeline, the cluster ``turns`` times, and the pipeline again.

    Raises:
        InputError: the engine is not installed, or rows were lost.
    """
    texts, workers = list(headlines(rows)), allowed_cores()
    plain, one, clustered = [_plain(texts)], _worker(texts), []
    with tempfile.TemporaryDirectory() as folder:
        try:
            with ENGINES[engine](texts, Path(folder), workers) as job:
                for turn in range(turns):
                    sys.stderr.write(f"turn {turn + 1}: {engine}\n")
                    for path in Path(folder).iterdir():
                        path.unlink()
                    found, ended = job(), time.time()
                    if found != rows:
                        raise InputError(f"{engine} answered {found:,} of {rows:,} rows")
                    clustered.append(rate(Path(folder), ended, workers))
        except ModuleNotFoundError as error:
            raise InputError(f"{error.name} is not installed: make clusters") from error
    plain.append(_plain(texts))
    return {
        "leanbert": __version__,
        "cpu": cpu_name(),
        "engine": engine,
        "version": installed(_PACKAGES[engine]),
        "workers": workers,
        "rows": rows,
        "texts_per_s": {"plain": plain, "worker": [one], "cluster": clustered},
    }


def _worker(texts: Sequence[str]) -> float:
    """Rows per second of what a worker of one thread does, without a cluster around it.

    It tokenizes on another core while it computes on one.
    """
    import pyarrow as pa

    from leanbert.integrations.carrying import recipe_for

    sys.stderr.write("one worker alone\n")
    recipe = recipe_for(None, "text", 1, {})
    model = recipe.opened(lambda: b"")
    some = texts[: len(texts) // 6]
    began = time.perf_counter()
    for at in range(0, len(some), _BLOCKS):
        recipe.answered(model, pa.table({"text": some[at : at + _BLOCKS]}))
    return len(some) / (time.perf_counter() - began)


def _plain(texts: Sequence[str]) -> float:
    sys.stderr.write("plain\n")
    answerer = pipeline(mode="throughput")
    answerer(texts[:2048])
    began = time.perf_counter()
    answerer(texts)
    return len(texts) / (time.perf_counter() - began)


def table(results: Json) -> str:
    """The results in Markdown."""
    rates = results["texts_per_s"]
    plain, cluster = median(rates["plain"]), median(rates["cluster"])
    name = f"{results['engine'].capitalize()} {results['version']}"
    lines = ["| | texts per second | of one process |", "| --- | --- | --- |"]
    lines.append(f"| one process on all cores | {plain:,.0f} | 1 |")
    one = median(rates["worker"])
    lines.append(
        f"| one worker of one thread, the other core idle | {one:,.0f} | {one / plain:.2f} |"
    )
    lines.append(
        f"| {name}, {results['workers']} workers | {cluster:,.0f} | {cluster / plain:.2f} |"
    )
    about = (
        f"LeanBERT {results['leanbert']}, embedded model, {results['cpu']}, "
        f"{results['workers']} cores, {results['rows']:,} different headlines, "
        f"{counted(len(rates['cluster']), 'turn')} of the cluster between "
        f"{len(rates['plain'])} of the process, start-up left out."
    )
    return "\n".join([*lines, "", about])


def main(words: Sequence[str] | None = None) -> int:
    """Measure, or show earlier results; returns the exit code."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("engine", choices=sorted(ENGINES), help="which cluster")
    parser.add_argument("--rows", type=int, default=60_000, metavar="N", help="rows (60000)")
    parser.add_argument("--turns", type=int, default=2, metavar="N", help="turns (2)")
    args = parser.parse_args(words)

    def measured() -> Json:
        if args.turns < 1 or args.rows < 1:
            raise InputError("--rows and --turns must be from 1")
        return measure(args.engine, args.rows, args.turns)

    return measure_or_show("clusters", args, measured, table)


if __name__ == "__main__":
    sys.exit(main())
