"""Predict how long clusters of many workers take, from what was measured on two.

A small simulation: a scheduler hands out blocks one after the other, each worker reads its block
from the object store, computes and writes, and the driver sends the model to each machine first.
--check simulates the two workers that were measured, from the rate of one process on both cores:
what it finds beyond the measured rate is what the cluster's own processes cost. Predictions take
the measured rate of a worker, which has that cost in it. Everything else is an assumption that a
flag changes.

examples:
  python -m studies.cluster_model
  python -m studies.cluster_model --check
  python -m studies.cluster_model --costs --price 0.05
  python -m studies.cluster_model --rows 1000000000 --node-gbit 25 --store-gbit 400
"""

from __future__ import annotations

import argparse
import heapq
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leanbert_bench.report.formatting import number
from leanbert_bench.results.schema import read_json
from leanbert_bench.statistics import median
from studies.command_line import Json, new_parser, one_line_errors

_RESULTS = Path(__file__).resolve().parents[1] / "results"
_GBIT = 1e9 / 8  # bytes per second
_HOUR = 3600.0


@dataclass(frozen=True)
class Cluster:
    """A cluster and its work; times in seconds, sizes in bytes, rates per second."""

    workers: int
    rows: int
    rate: float
    """Rows that a worker answers while nothing else holds it up."""
    cores_per_node: int = 16
    block: int = 5_000
    """Rows of a block."""
    row_in: float = 100
    """Of a headline with its keys, compressed as Parquet is."""
    row_out: float = 110
    """The same with label and score."""
    node_rate: float = 10 * _GBIT
    """Bytes between a machine and the network."""
    store_rate: float = 100 * _GBIT
    """Bytes of the object store for all machines together."""
    dispatch: float = 0.001
    """Of the scheduler for one block."""
    fetch: float = 0.0001
    """For one piece of a shuffle; each reducer fetches one from each block."""
    bundle: float = 10e6
    start: float = 30
    """Until the first worker runs."""

    @property
    def nodes(self) -> int:
        """Machines."""
        return -(-self.workers // self.cores_per_node)

    @property
    def computing(self) -> float:
        """Seconds that the workers compute, if they do nothing else."""
        return self.rows / (self.rate * self.workers)

    @property
    def distributing(self) -> float:
        """Seconds until the last machine has the model, which the driver sends to one by one."""
        return self.nodes * self.bundle / self.node_rate

    @property
    def transfer(self) -> float:
        """Seconds in which a worker reads and writes one block while all others do, too."""
        share = min(
            self.node_rate / min(self.workers, self.cores_per_node), self.store_rate / self.workers
        )
        return self.block * (self.row_in + self.row_out) / share

    @property
    def shuffling(self) -> float:
        """Seconds of sorting all answers by a key, ticker and date for example, over the network.

        Each worker is a reducer. A machine keeps what is for itself.
        """
        moved = self.rows * self.row_out * (1 - 1 / self.nodes) / (self.nodes * self.node_rate)
        return moved + -(-self.rows // self.block) * self.fetch


def simulate(cluster: Cluster) -> float:
    """Seconds from the moment when the machines are there to the last block's end."""
    sent = cluster.bundle / cluster.node_rate
    free = [
        (cluster.start + sent * (1 + worker // cluster.cores_per_node), worker)
        for worker in range(cluster.workers)
    ]
    heapq.heapify(free)
    scheduler = ended = 0.0
    for at in range(0, cluster.rows, cluster.block):
        ready, worker = heapq.heappop(free)
        scheduler = max(ready, scheduler) + cluster.dispatch
        share = min(cluster.block, cluster.rows - at) / cluster.block
        done = scheduler + share * (cluster.transfer + cluster.block / cluster.rate)
        ended = max(ended, done)
        heapq.heappush(free, (done, worker))
    return ended


def measured(engine: str) -> Json:
    """The committed measurement of a cluster of two workers.

    Raises:
        InputError: there is none.
    """
    found: Json = read_json(_RESULTS / f"cluster-{engine}.json")
    return found


def as_measured(found: Json) -> Cluster:
    """What was measured: rows that wait in the workers' memory, after start-up."""
    memory = 1e10  # bytes per second
    return Cluster(
        found["workers"], found["rows"], median(found["texts_per_s"]["plain"]) / found["workers"],
        cores_per_node=1, node_rate=memory, store_rate=memory, start=0,
    )  # fmt: skip


def rates_per_core() -> list[tuple[str, float, str]]:
    """Models with texts per second per core, and the results that say so."""
    embedded = read_json(_RESULTS / "repeated-texts.json")
    offline = read_json(_RESULTS / "offline-bert-base.json")
    [native] = [of for of in offline["backends"] if of["id"] == "leanbert-int8-native"]
    small = median(embedded["texts_per_s"]["no repeats, looked for"]) / embedded["threads"]
    large = median(native["scenarios"]["Offline"]["texts_per_s"])
    large /= offline["machine"]["cores_allowed"]
    return [
        ("embedded model", small, "repeated-texts.json"),
        ("BERT-base (FinBERT's size)", large, "offline-bert-base.json"),
    ]


def costs(rows: int, price: float) -> str:
    """What so many rows cost, in Markdown."""
    lines = [
        f"| model | texts per second per core | core-hours | at {price:.2f} USD per core-hour |",
        "| --- | --- | --- | --- |",
    ]
    for name, rate, _ in rates_per_core():
        hours = rows / rate / _HOUR
        lines.append(f"| {name} | {number(rate)} | {number(hours)} | {number(hours * price)} USD |")
    sources = " and ".join(f"benchmarks/results/{source}" for *_, source in rates_per_core())
    about = f"{rows:,} sentences as those of Financial PhraseBank; rates of {sources}."
    return "\n".join([*lines, "", about])


def check() -> str:
    """The simulation beside the measurements, in Markdown."""
    lines = [
        "| two workers | simulated, texts per second | measured | ratio |",
        "| --- | --- | --- | --- |",
    ]
    for engine in ("ray", "spark"):
        found = measured(engine)
        cluster = as_measured(found)
        simulated = cluster.rows / simulate(cluster)
        real = median(found["texts_per_s"]["cluster"])
        name = f"{engine.capitalize()} {found['version']}"
        lines.append(f"| {name} | {simulated:,.0f} | {real:,.0f} | {simulated / real:.2f} |")
    return "\n".join(lines)


def predictions(base: Cluster, sizes: Sequence[int]) -> str:
    """What larger clusters take, in Markdown."""
    lines = [
        "| workers | takes | rows per second | efficiency | reading and writing | scheduler "
        "| model | start | shuffle after it |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for workers in sizes:
        cluster = replace(base, workers=workers)
        took = simulate(cluster)
        blocks = -(-cluster.rows // cluster.block)
        cells = [
            f"{workers:,}",
            _time(took),
            f"{cluster.rows / took:,.0f}",
            f"{100 * cluster.computing / took:.1f}%",
            _time(blocks * cluster.transfer / workers),
            _time(blocks * cluster.dispatch),
            _time(cluster.distributing),
            _time(cluster.start),
            _time(cluster.shuffling),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 0.01:
        return "0 s"
    if seconds < 100:
        return f"{number(seconds, 2)} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:,.1f} h"


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--rows", type=int, default=10**9, metavar="N", help="(1000000000)")
    parser.add_argument("--costs", action="store_true", help="core-hours and money only")
    parser.add_argument("--check", action="store_true", help="the two workers that were measured")
    parser.add_argument("--price", type=float, default=0.05, metavar="USD", help="(0.05)")
    parser.add_argument("--node-gbit", type=float, default=10, metavar="N", help="(10)")
    parser.add_argument("--store-gbit", type=float, default=100, metavar="N", help="(100)")
    parser.add_argument("--dispatch-ms", type=float, default=1, metavar="N", help="(1)")
    parser.add_argument("--block", type=int, default=5000, metavar="N", help="rows (5000)")
    parser.add_argument("--bundle-mb", type=float, default=10, metavar="N", help="(10)")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Print a table."""
    args = parse(words)

    def run() -> int:
        if args.costs:
            print(costs(args.rows, args.price))
            return 0
        if args.check:
            print(check())
            return 0
        spark = measured("spark")
        base = Cluster(
            2, args.rows, median(spark["texts_per_s"]["cluster"]) / spark["workers"],
            block=args.block,
            node_rate=args.node_gbit * _GBIT, store_rate=args.store_gbit * _GBIT,
            dispatch=args.dispatch_ms / 1000, bundle=args.bundle_mb * 1e6,
        )  # fmt: skip
        print(predictions(base, (2, 10, 100, 1000, 10000)))
        return 0

    return one_line_errors("cluster_model", run)


if __name__ == "__main__":
    sys.exit(main())
