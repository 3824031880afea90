"""Measure the cold start: what `leanbert predict "…"` does from process start to answer.

Each turn starts two fresh processes, with the files in the page cache and the modules compiled, as
installing a package leaves them: the command itself, timed from outside, and a twin that takes the
same steps one by one and reads the clocks after each. A first turn is not counted. The table shows
wall time and CPU time. On a busy machine trust the CPU time.

examples:
  python -m studies.cold_start
  python -m studies.cold_start --model my-bundle --engine onnxruntime --turns 30 -o cold.json
  python -m studies.cold_start --table benchmarks/results/cold-start.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from leanbert.engines import ENGINES
from leanbert.pipelines import embedded_bundle
from leanbert_bench.provenance import describe_bundle, describe_study
from leanbert_bench.run.process import compiling_environment
from leanbert_bench.statistics import median
from studies.command_line import Json, measure_or_show, new_parser

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


def measure(model: Path, engine: str, turns: int) -> Json:
    """Return the medians in ms of the whole command and of each step, and the engine's name."""
    command = [sys.executable, "-m", "leanbert", "predict", "-m", str(model), "--engine", engine]
    twin = [sys.executable, "-c", _TWIN, str(model), engine, TEXT]
    times: dict[str, list[tuple[float, float]]] = {}
    name = ""
    for turn in range(turns + 1):
        cpu, start = _children_cpu(), time.perf_counter()
        _output_of([*command, TEXT])
        whole = (time.perf_counter() - start, _children_cpu() - cpu)
        start = time.perf_counter()
        marks, name = json.loads(_output_of(twin))
        if turn == 0:
            continue
        times.setdefault("leanbert predict, all of it", []).append(whole)
        before = (start, 0.0)  # perf_counter is one clock for all processes on Linux
        for step, wall, cpu in marks:
            times.setdefault(step, []).append((wall - before[0], cpu - before[1]))
            before = (wall, cpu)
    steps = [
        {"step": step, "wall_ms": 1e3 * median(wall), "cpu_ms": 1e3 * median(cpu)}
        for step, found in times.items()
        for wall, cpu in [tuple(zip(*found, strict=True))]
    ]
    return {
        **describe_study(),
        "bundle": describe_bundle(model),
        "engine": name,
        "turns": turns,
        "steps": steps,
    }


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _output_of(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=compiling_environment()
    )
    if done.returncode:
        raise OSError(f"{' '.join(command[1:4])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def table(found: Json) -> str:
    """Return the Markdown table of the steps, and what was measured."""
    lines = ["| step | wall, ms | CPU, ms |", "|---|---|---|"]
    lines += [f"| {s['step']} | {s['wall_ms']:.0f} | {s['cpu_ms']:.0f} |" for s in found["steps"]]
    machine = found["machine"]
    note = f"{machine['cpu']}, {machine['cores_allowed']} cores"
    lines += ["", f"Median of {found['turns']} turns; engine {found['engine']}; {note}."]
    return "\n".join(lines) + "\n"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--model", type=Path, help="bundle (default: the embedded one)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: auto")
    parser.add_argument("--turns", type=int, default=15, help="fresh processes of each kind (15)")
    args = parser.parse_args(words)
    if args.turns < 1:
        parser.error("--turns must be at least 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print a Markdown table, or print that of earlier results."""
    args = parse(words)
    model = args.model or embedded_bundle()
    return measure_or_show(
        "cold_start", args, lambda: measure(model, args.engine, args.turns), table
    )


if __name__ == "__main__":
    sys.exit(main())
