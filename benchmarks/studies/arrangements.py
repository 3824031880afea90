"""Texts per second of processes and threads that share a machine, and under a CPU quota.

Each arrangement is some processes with some pipelines, which begin at one signal and answer the
same texts; its rate is all their texts over the time of the slowest. Arrangements take turns. A
quota is a control group of its own (cgroup v1 or v2), which needs the right to make one; without it
those rows are left out, and a line says so.

examples:
  python -m studies.arrangements --texts news.csv --text-column headline
  python -m studies.arrangements --turns 5 -o benchmarks/results/arrangements.json
  python -m studies.arrangements --table benchmarks/results/arrangements.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from leanbert import __version__
from leanbert.cpu import allowed_cores, cpu_name
from leanbert_bench.run.process import compiling_environment
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import Json, measure_or_show, new_parser
from studies.repeated_texts import read_texts

QUOTA = 1.5
_CGROUP = Path("/sys/fs/cgroup")
_PERIOD = 100_000  # microseconds

# A process of an arrangement: argv is the mode, the threads (0: as LeanBERT chooses) and the number
# of pipelines that compute at once. It is given the texts, and then a line for each turn.
_CHILD = """
import json, sys, threading, time
from leanbert import pipeline
mode, threads, pipelines = sys.argv[1], int(sys.argv[2]) or None, int(sys.argv[3])
texts = json.loads(sys.stdin.readline())
made = [pipeline("text-classification", mode=mode, threads=threads) for _ in range(pipelines)]
for one in made:
    one(texts[:200], deduplicate=False)
print("ready", flush=True)
for line in sys.stdin:
    start = time.monotonic()
    alone = {"deduplicate": False}
    crew = [threading.Thread(target=one, args=(texts,), kwargs=alone) for one in made]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(json.dumps([start, time.monotonic()]), flush=True)
"""


@dataclass(frozen=True)
class Arrangement:
    """So many processes, each with so many pipelines at once."""

    processes: int
    mode: str
    threads: int
    """Of each pipeline; 0 for what LeanBERT chooses."""
    pipelines: int = 1
    quota: float | None = None
    """In cores, of all processes together; ``None`` for none."""

    @property
    def name(self) -> str:
        """As the table names it."""
        many = "es" if self.processes > 1 else ""
        threads = f"threads={self.threads or 'None'}"
        both = f", {self.pipelines} pipelines at once" if self.pipelines > 1 else ""
        return f"{self.processes} process{many}, {self.mode}, {threads}{both}"


def arrangements(cores: int) -> list[Arrangement]:
    """Return all that are measured on a machine of so many cores."""
    free = [
        Arrangement(1, "throughput", 0),
        Arrangement(1, "throughput", 1),
        Arrangement(1, "throughput", 2 * cores),
        Arrangement(1, "latency", 0),
        Arrangement(1, "latency", 2 * cores),
        Arrangement(1, "throughput", 0, pipelines=2),
        Arrangement(1, "latency", 0, pipelines=2),
        Arrangement(cores, "throughput", 1),
        Arrangement(cores, "throughput", 0),
        Arrangement(cores, "latency", 0),
    ]
    limited = [
        Arrangement(1, mode, threads, quota=QUOTA)
        for mode in ("throughput", "latency")
        for threads in (0, 1)
    ]
    return free + limited


@contextmanager
def quota_group(cores: float) -> Iterator[Path | None]:
    """Make a control group with a quota, and give the file that takes processes into it.

    It gives ``None`` where none can be made.
    """
    old = (_CGROUP / "cpu").is_dir()
    folder = (_CGROUP / "cpu" if old else _CGROUP) / f"leanbert-study-{os.getpid()}"
    made = False
    try:
        try:
            folder.mkdir()
            made = True
            quota = int(cores * _PERIOD)
            if old:
                (folder / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (folder / "cpu.max").write_text(f"{quota} {_PERIOD}")
        except OSError:
            yield None
            return
        yield folder / "cgroup.procs"
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def started(
    arrangement: Arrangement, texts: Sequence[str], group: Path | None
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the processes of an arrangement, and wait until all are ready."""
    words = (arrangement.mode, str(arrangement.threads), str(arrangement.pipelines))
    with ExitStack() as stack:
        processes = []
        for _ in range(arrangement.processes):
            process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=compiling_environment(),
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            if group is not None:
                group.write_text(str(process.pid))  # before it counts its cores
            _tell(process, json.dumps(list(texts)))
            processes.append(process)
        for process in processes:
            if _line(process) != "ready":
                raise OSError(f"a process of {arrangement.name} failed")
        yield processes


def rate(processes: Sequence[subprocess.Popen[str]], texts: int) -> float:
    """Let all begin at once, and return their texts per second together."""
    for process in processes:
        _tell(process, "go")
    spans = [json.loads(_line(process)) for process in processes]
    seconds: float = max(end for _, end in spans) - min(start for start, _ in spans)
    return texts / seconds


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise OSError("a measured process ended early")
    return line.rstrip("\n")


def measure(texts: Sequence[str], name: str, turns: int) -> Json:
    """Time every arrangement once per turn; each keeps its processes through all turns."""
    cores = allowed_cores()
    rates: dict[str, dict[str, list[float]]] = {"no quota": {}, f"a quota of {QUOTA} cores": {}}
    with ExitStack() as stack:
        group = stack.enter_context(quota_group(QUOTA))
        if group is None:
            sys.stderr.write("arrangements: no control group can be made; no quota is measured\n")
        everybody = [
            (one, stack.enter_context(started(one, texts, group if one.quota else None)))
            for one in arrangements(cores)
            if one.quota is None or group is not None
        ]
        for turn in range(turns):
            for one, processes in everybody:
                sys.stderr.write(f"turn {turn + 1}: {one.name}\n")
                count = len(texts) * one.processes * one.pipelines
                side = "no quota" if one.quota is None else f"a quota of {QUOTA} cores"
                rates[side].setdefault(one.name, []).append(rate(processes, count))
    return {
        "leanbert": __version__,
        "cpu": cpu_name(),
        "cores": cores,
        "texts": {"name": name, "count": len(texts)},
        "texts_per_s": {side: found for side, found in rates.items() if found},
    }


def table(results: Json) -> str:
    """Return the results in Markdown; ratios are to the best arrangement of the same quota."""
    lines = ["| arrangement | texts per second | of the best |", "| --- | --- | --- |"]
    for side, rates in results["texts_per_s"].items():
        best = max(rates.values(), key=median)
        for name, turns in rates.items():
            of_best = paired_ratio(turns, best).median
            lines.append(f"| {side}: {name} | {median(turns):,.0f} | {of_best:.2f} |")
    texts = results["texts"]
    about = (
        f"LeanBERT {results['leanbert']}, embedded model, {results['cpu']}, "
        f"{results['cores']} cores, {texts['count']:,} texts of {texts['name']} for each pipeline, "
        f"{len(turns)} turns."
    )
    return "\n".join([*lines, "", about]) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print a Markdown table, or print that of earlier results."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--texts", type=Path, metavar="FILE", help="(default: texts that are made)")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="of the file")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="texts at most (1000)")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="default: 3")
    args = parser.parse_args(words)
    if args.turns < 1 or args.count < 1:
        parser.error("--turns and --count must be at least 1")

    def run() -> Json:
        name, texts = read_texts(args.texts, args.text_column)
        return measure(texts[: args.count], name, args.turns)

    return measure_or_show("arrangements", args, run, table)


if __name__ == "__main__":
    sys.exit(main())
