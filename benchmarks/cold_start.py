"""Measure the cold start: what `leanbert predict "…"` does from process start to answer.

Each turn starts two fresh processes, with the files in the page cache and the modules compiled, as
installing a package leaves them: the command itself, timed from outside, and a twin that takes the
same steps one by one and stops the time after each. A first turn is not counted. Both wall time and
CPU time are told: on a busy machine trust the CPU time, which one thread spends.

examples:
  python benchmarks/cold_start.py
  python benchmarks/cold_start.py --model my-bundle --engine onnxruntime --turns 30
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

from leanbert.cpu import allowed_cores, cpu_name
from leanbert.pipelines import embedded_bundle
from leanbert_bench.run.process import compiling_environment

TEXT = "Operating profit rose to EUR 13.1 mn."

# Runs in the twin: argv is the bundle, the engine, the text. Not imported from here, as this module
# has loaded everything already.
_TWIN = """
import time
marks = [("interpreter", time.perf_counter(), time.process_time())]
def mark(name):
    marks.append((name, time.perf_counter(), time.process_time()))
import numpy
mark("import numpy")
import tokenizers
mark("import tokenizers")
import leanbert.cli.predict
mark("import leanbert.cli.predict (argparse, json, dataclasses)")
from leanbert.pipelines import pipeline
from leanbert.pipelines.text_classification import TextClassificationPipeline
mark("import leanbert.pipelines")
from leanbert.bundle import Bundle
import sys
from leanbert.engines import load_engine
from leanbert.tokenization import Tokenizer
bundle = Bundle.open(sys.argv[1])
mark("open the bundle: manifest, sha256 of every file")
engine = load_engine(bundle, None, sys.argv[2])
mark("load the engine")
tokenizer = Tokenizer.of(bundle)
mark("load the tokenizer")
classify = pipeline("text-classification", bundle, engine=sys.argv[2])
again = time.perf_counter(), time.process_time()
answer = classify(sys.argv[3])
marks.append(("answer one text", time.perf_counter() - again[0] + marks[-1][1],
              time.process_time() - again[1] + marks[-1][2]))
import json
print(json.dumps([marks, engine.name]))
"""


class Step(TypedDict):
    """One step's medians in ms."""

    step: str
    wall: float
    cpu: float


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def measure(model: Path, engine: str, turns: int) -> tuple[list[Step], str]:
    """The steps' medians, the whole command first, and the engine's name."""
    whole: list[tuple[float, float]] = []
    steps: dict[str, list[tuple[float, float]]] = {}
    command = [sys.executable, "-m", "leanbert", "predict", "-m", str(model), "--engine", engine]
    name = ""
    environment = compiling_environment()
    for turn in range(turns + 1):
        cpu, start = _children_cpu(), time.perf_counter()
        subprocess.run([*command, TEXT], check=True, capture_output=True, env=environment)
        whole.append((time.perf_counter() - start, _children_cpu() - cpu))
        start = time.perf_counter()
        twin = [sys.executable, "-c", _TWIN, str(model), engine, TEXT]
        out = subprocess.run(
            twin, check=True, capture_output=True, text=True, env=environment
        ).stdout
        if turn == 0:
            whole.clear()
            continue
        marks, name = json.loads(out)
        before = (start, 0.0)  # perf_counter is one clock for all processes on Linux
        for step, wall, cpu in marks:
            steps.setdefault(step, []).append((wall - before[0], cpu - before[1]))
            before = (wall, cpu)

    def median(step: str, found: list[tuple[float, float]]) -> Step:
        wall, cpu = (1000 * statistics.median(column) for column in zip(*found, strict=True))
        return {"step": step, "wall": wall, "cpu": cpu}

    return [median("leanbert predict, all of it", whole)] + [
        median(step, found) for step, found in steps.items()
    ], name


def main(argv: list[str] | None = None) -> int:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="bundle (default: the embedded one)")
    parser.add_argument("--engine", choices=("auto", "native", "onnxruntime"), default="auto")
    parser.add_argument("--turns", type=int, default=15, help="fresh processes of each kind")
    args = parser.parse_args(argv)
    rows, name = measure(args.model or embedded_bundle(), args.engine, max(1, args.turns))
    print("| step | wall, ms | CPU, ms |\n|---|---|---|")
    for row in rows:
        print(f"| {row['step']} | {row['wall']:.0f} | {row['cpu']:.0f} |")
    print(f"\nMedian of {args.turns} turns; engine {name}; {cpu_name()}, {allowed_cores()} cores.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
