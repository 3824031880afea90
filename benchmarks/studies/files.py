"""Compare ``leanbert predict`` from CSV to CSV with a list in memory, and measure its memory.

Rate: the rows are answered in turns, as a list by a pipeline in throughput mode and as a file by
the command in this process. The command's time includes opening the model, so rows should be many.
Memory: a child process reads rows from a pipe that a generator feeds, once few and once many; with
``--stub`` nothing is computed, so that millions of rows take minutes. Linux and macOS only.
What ``-o`` finds in its file of the other measurement stays there.

examples:
  python -m studies.files --rows 50000 --turns 5 -o benchmarks/results/files.json
  python -m studies.files --memory --first 20000 --last 200000
  python -m studies.files --memory --stub --first 1000000 --last 10000000
  python -m studies.files --table benchmarks/results/files.json
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leanbert import __version__, pipeline
from leanbert.cli import main as leanbert
from leanbert.cpu import allowed_cores, cpu_name
from leanbert.errors import LeanBertError
from leanbert_bench.report.formatting import number
from leanbert_bench.results.schema import read_json
from leanbert_bench.run.resident import peak_memory
from leanbert_bench.run.workload import mixed_texts
from leanbert_bench.statistics import median
from studies.command_line import Json, measure_or_show, new_parser, one_line_errors

_WORDS = 24  # of a headline
_SERIES = 4096  # different texts


def headlines(rows: int) -> Iterator[str]:
    """Yield texts of up to 24 words, all of them different."""
    base = [" ".join(text.split()[:_WORDS]) for text in mixed_texts(0, min(rows, _SERIES))]
    for i in range(rows):
        yield f"{base[i % len(base)]} {i}"


def write_csv(path: Path, rows: int) -> None:
    """Write headlines with a few columns of their own."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "ticker", "date", "text"])
        for i, text in enumerate(headlines(rows)):
            writer.writerow([i, f"T{i % 500}", f"2024-01-{i % 28 + 1:02d}", text])


def rates(rows: int, turns: int, model: str | None) -> list[tuple[float, float]]:
    """Texts per second as a list and as a file, turn by turn.

    Raises:
        LeanBertError: the command failed.
    """
    texts = list(headlines(rows))
    answerer = pipeline(model=model, mode="throughput")
    answerer(texts[:2048])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "news.csv"), Path(folder, "answers.csv")
        write_csv(given, rows)
        for _ in range(turns):
            began = time.perf_counter()
            answerer(texts)
            listed = rows / (time.perf_counter() - began)
            began = time.perf_counter()
            bundle = [] if model is None else ["-m", model]
            if leanbert(["predict", "-i", str(given), "-o", str(out), *bundle]):
                raise LeanBertError("leanbert predict failed")
            found.append((listed, rows / (time.perf_counter() - began)))
    return found


def memory(rows: int, model: str | None, *, stub: bool) -> float:
    """The peak of the resident set in MiB of a process that answers ``rows`` rows of a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        pipe, out = Path(folder, "news.csv"), Path(folder, "answers.csv")
        os.mkfifo(pipe)
        feeding = threading.Thread(target=write_csv, args=(pipe, rows), daemon=True)
        feeding.start()
        command = [sys.executable, "-m", "studies.files", "--here", str(pipe), str(out)]
        command += ["--stub"] if stub else []
        command += [] if model is None else ["-m", model]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        feeding.join()
        return float(done.stdout)


class _Stub:
    """Answers every text with the same label, at once."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def stream(self, inputs: Iterator[Any], **_: Any) -> Iterator[Any]:
        """The answers."""
        for _ in inputs:
            yield {"label": "neutral", "score": 0.5}


def answer_here(files: Sequence[str], model: str | None, *, stub: bool) -> int:
    """Answer a pipe into an output in this process, and print the peak of its resident set."""
    if stub:
        import leanbert.pipelines as home

        opened = home.pipeline
        home.pipeline = lambda *args, **options: _Stub(opened(*args, **options))  # type: ignore
    bundle = [] if model is None else ["-m", model]
    pipe, out = files
    code = leanbert(["predict", "-i", pipe, "-o", out, *bundle])
    print(peak_memory())
    return code


def measured(args: argparse.Namespace) -> Json:
    """The rates or the memory, beside what the file of ``-o`` holds already."""
    known = args.output and args.output.exists()
    found: Json = read_json(args.output) if known else {}
    found |= {"leanbert": __version__, "cpu": cpu_name()}
    if args.memory:
        sizes = [args.first, args.last]
        peaks = [memory(rows, args.model, stub=args.stub) for rows in sizes]
        found["memory"] = {"rows": sizes, "computed": not args.stub, "peak_mib": peaks}
    else:
        turns = rates(args.rows, args.turns, args.model)
        listed, filed = zip(*turns, strict=True)
        found["rate"] = {
            "rows": args.rows,
            "threads": allowed_cores(),
            "list": [*listed],
            "file": [*filed],
        }
    return found


def table(results: Json) -> str:
    """The results in Markdown."""
    lines = ["| | | |", "| --- | --- | --- |"]
    rate, memory = results.get("rate"), results.get("memory")
    if rate:
        listed, filed = median(rate["list"]), median(rate["file"])
        ratio = median([b / a for a, b in zip(rate["list"], rate["file"], strict=True)])
        lines.append(f"| a list in memory | {listed:,.0f} texts per second | 1 |")
        lines.append(f"| from CSV to CSV | {filed:,.0f} texts per second | {ratio:.2f} |")
    if memory:
        (few, many), (small, large) = memory["rows"], memory["peak_mib"]
        lines.append(f"| peak of the resident memory, {few:,} rows | {number(small)} MiB | 1 |")
        lines.append(f"| the same, {many:,} rows | {number(large)} MiB | {large / small:.2f} |")
    about = f"LeanBERT {results['leanbert']}, embedded model, {results['cpu']}"
    if rate:
        about += f"; {rate['threads']} threads, {rate['rows']:,} different headlines, "
        about += f"{len(rate['list'])} turns, the opening "
        about += "of the model and the last write to the disk included"
    if memory and not memory["computed"]:
        about += "; the memory is that of the command with a stub in the place of the model's "
        about += "computation"
    return "\n".join([*lines, "", f"{about}."])


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("-m", "--model", metavar="DIR", help="a bundle (the embedded one)")
    parser.add_argument("--rows", type=int, default=50_000, metavar="N", help="rows (50000)")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="turns (3)")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--first", type=int, default=20_000, metavar="N", help="rows (20000)")
    parser.add_argument("--last", type=int, default=200_000, metavar="N", help="rows (200000)")
    parser.add_argument("--stub", action="store_true", help="compute nothing")
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)  # in this process
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and print what was found."""
    args = parse(words)

    if args.here:
        files = args.here
        return one_line_errors("files", lambda: answer_here(files, args.model, stub=args.stub))
    return measure_or_show("files", args, lambda: measured(args), table)


if __name__ == "__main__":
    sys.exit(main())
