"""Measure the cold start: what `leanbert predict "…"` does from process start to answer.

Each turn starts two fresh processes, with the files in the page cache and the modules compiled, as
installing a package leaves them: the command itself, timed from outside, and a twin that takes the
same steps one by one and reads the clocks after each. A first turn is not counted. The table shows
wall time and CPU time. On a busy machine trust the CPU time. With --before the command of an
earlier tree takes turns with that of this one.

examples:
  python -m studies.cold_start
  python -m studies.cold_start --model my-bundle --engine onnxruntime --turns 30 -o cold.json
  python -m studies.cold_start --before ../before --turns 30
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

from leanbert.arguments import ENGINES
from leanbert.errors import InputError
from leanbert.pipelines import embedded_bundle
from leanbert_bench.provenance import describe_bundle, describe_study
from leanbert_bench.run.process import compiling_environment
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import Json, measure_or_show, new_parser
from studies.source_trees import SOURCES_FIRST, python_path

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
import leanbert.cli.predict
mark("import leanbert.cli.predict (argparse, json)")
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


# `python -m leanbert` of the sources that PYTHONPATH names.
_OF_A_TREE = """
from runpy import run_module
run_module("leanbert", run_name="__main__", alter_sys=True)
"""
_HERE = Path(__file__).resolve().parents[2]


def measure(model: Path, engine: str, turns: int, before: Path | None = None) -> Json:
    """Return the medians in ms of the whole command and of each step, and the engine's name.

    Args:
        model: the bundle.
        engine: as ``--engine`` names it.
        turns: fresh processes of each kind.
        before: a checkout of an earlier tree with its native library; with it the walls of both
            trees' commands, in ms for each turn, are in the result, too.

    Raises:
        InputError: ``before`` is no checkout.
        OSError: a process failed.
    """
    if before is not None and not (before / "runtime" / "leanbert").is_dir():
        raise InputError(f"{before}: no checkout of LeanBERT; it has no runtime/leanbert")
    answering = ["predict", "-m", str(model), "--engine", engine]
    command = [sys.executable, "-m", "leanbert", *answering]
    twin = [sys.executable, "-c", _TWIN, str(model), engine, TEXT]
    times: dict[str, list[tuple[float, float]]] = {}
    name = ""
    trees = {} if before is None else {"before": before, "after": _HERE}
    walls: dict[str, list[float]] = {side: [] for side in trees}
    for turn in range(turns + 1):
        cpu, start = _children_cpu(), time.perf_counter()
        _output_of([*command, TEXT])
        whole = (time.perf_counter() - start, _children_cpu() - cpu)
        start = time.perf_counter()
        marks, name = json.loads(_output_of(twin))
        for side, tree in trees.items():
            begun = time.perf_counter()
            _output_of([sys.executable, "-c", SOURCES_FIRST + _OF_A_TREE, *answering, TEXT], tree)
            walls[side].append(1e3 * (time.perf_counter() - begun))
        if turn == 0:
            walls = {side: [] for side in trees}
            continue
        times.setdefault("leanbert predict, all of it", []).append(whole)
        last = (start, 0.0)  # perf_counter is one clock for all processes on Linux
        for step, wall, cpu in marks:
            times.setdefault(step, []).append((wall - last[0], cpu - last[1]))
            last = (wall, cpu)
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
        **({"turns_ms": walls} if trees else {}),
    }


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _output_of(command: Sequence[str], tree: Path | None = None) -> str:
    """What a command prints; the sources are those of ``tree``, if it is given."""
    environment = compiling_environment()
    if tree is not None:
        environment["PYTHONPATH"] = python_path(tree, "runtime", "models")
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
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
    if "turns_ms" in found:
        walls = found["turns_ms"]
        ratio = paired_ratio(walls["after"], walls["before"])
        lines += [
            f"The whole command took {median(walls['before']):.0f} ms before and "
            f"{median(walls['after']):.0f} ms after: {ratio.median:.3f} of its former time "
            f"(95% interval {ratio.low:.3f} to {ratio.high:.3f})."
        ]
    return "\n".join(lines) + "\n"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--model", type=Path, help="bundle (default: the embedded one)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: auto")
    parser.add_argument("--turns", type=int, default=15, help="fresh processes of each kind (15)")
    parser.add_argument(
        "--before", type=Path, metavar="DIR", help="a checkout of an earlier tree, to compare with"
    )
    args = parser.parse_args(words)
    if args.turns < 1:
        parser.error("--turns must be at least 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print a Markdown table, or print that of earlier results."""
    args = parse(words)
    model = args.model or embedded_bundle()
    return measure_or_show(
        "cold_start", args, lambda: measure(model, args.engine, args.turns, args.before), table
    )


if __name__ == "__main__":
    sys.exit(main())
