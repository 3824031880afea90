"""How long an export takes and how much memory it needs: two source trees, by turns.

Each turn exports one checkpoint by the recipe int8 in a process of its own for each tree, with the
export's own sample of texts. Timed are the whole, the imports and each step of the export; the
memory is the process's largest resident size. The bundles of both trees are compared byte by byte.
A checkout of an earlier tree (git worktree add ../before ef0b794) wants its native library built.

examples:
  python -m studies.export_time --before ../before -o benchmarks/results/export-time.json
  python -m studies.export_time --before ../before --checkpoint models/finbert --turns 1
  python -m studies.export_time --before ../before --under "taskset -c 0,1"
  python -m studies.export_time --table benchmarks/results/export-time.json
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from leanbert.bundle import file_sha256
from leanbert.cpu import allowed_cores
from leanbert.errors import InputError
from leanbert_bench.provenance import describe_study
from leanbert_bench.report.formatting import ratio_with_interval
from leanbert_bench.run.preparing import default_cache
from leanbert_bench.run.process import compiling_environment
from leanbert_bench.run.random_weights import SHAPES, random_checkpoint
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import Json, measure_or_show, new_parser
from studies.source_trees import SOURCES_FIRST, python_path

IMPORTS = "imports"
_ROOT = Path(__file__).parents[2]
_COMPARED = ("model.onnx", "model.onnx.data")

# Runs once for each export, with the sources of one tree on PYTHONPATH. It knows nothing of the
# tree but `export`, `STEPS` and `on_step`.
_CHILD = """
import json, resource, sys
from time import perf_counter

tree, checkpoint, output = sys.argv[1:]
marks = [("imports", perf_counter())]
from leanbert_export import exporting
if not exporting.__file__.startswith(tree):
    sys.exit(f"{exporting.__file__} was imported in place of {tree}")

def on_step(said):
    step = next((step for step in exporting.STEPS if said.startswith(step)), None)
    if step is not None and step != marks[-1][0]:
        marks.append((step, perf_counter()))

exporting.export(checkpoint, output, on_step=on_step)
marks.append(("", perf_counter()))
steps = {}
for (step, start), (_, end) in zip(marks, marks[1:]):
    steps[step] = steps.get(step, 0.0) + end - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; bytes on macOS
peak *= 1 if sys.platform == "darwin" else 1024
print(json.dumps({"seconds": sum(steps.values()), "steps": steps, "peak_bytes": peak}))
"""


def export_once(
    tree: Path, checkpoint: Path, output: Path, threads: int, under: Sequence[str] = ()
) -> Json:
    """Export with the sources of one tree, in a process of its own.

    Args:
        tree: the root of a checkout.
        checkpoint: a directory.
        output: the bundle's directory.
        threads: ``OMP_NUM_THREADS`` of the process.
        under: the words of a command that runs the process, such as ``taskset -c 0,1``.

    Returns:
        ``seconds``, ``steps`` (seconds by name), ``peak_bytes`` and ``sha256`` of the graph and of
        its weights.

    Raises:
        InputError: the tree has no export, or it fails; what it said went to stderr.
    """
    tree = tree.resolve()
    environment = compiling_environment() | {
        "PYTHONPATH": python_path(tree, "runtime", "export"),
        "OMP_NUM_THREADS": str(threads),
    }
    python = [sys.executable, "-c", SOURCES_FIRST + _CHILD]
    ended = subprocess.run(
        [*under, *python, str(tree), str(checkpoint.resolve()), str(output)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise InputError(f"{tree}: its export ended with exit code {ended.returncode}")
    found: Json = json.loads(ended.stdout.splitlines()[-1])
    return {**found, "sha256": {name: file_sha256(output / name) for name in _COMPARED}}


def measure(
    before: Path,
    after: Path,
    checkpoint: Path,
    *,
    turns: int,
    threads: int,
    under: Sequence[str] = (),
) -> Json:
    """Export with both trees by turns, the earlier one first in every other turn.

    Raises:
        InputError: see :func:`export_once`.
    """
    trees = {"before": before, "after": after}
    exports: dict[str, list[Json]] = {name: [] for name in trees}
    for turn in range(turns):
        for name in reversed(trees) if turn % 2 else trees:
            with tempfile.TemporaryDirectory(prefix="leanbert-study-") as folder:
                output = Path(folder) / "bundle"
                exports[name].append(export_once(trees[name], checkpoint, output, threads, under))
    return {**describe_study(), "threads": threads, "exports": exports}


def table(found: Json) -> str:
    """The medians of both trees as Markdown: seconds in all and of each step, and memory."""
    before, after = found["exports"]["before"], found["exports"]["after"]
    whole = [median([one["seconds"] for one in side]) for side in (before, after)]
    lines = ["| | before | after | after / before |", "|---|---|---|---|"]
    steps = list(dict.fromkeys(step for one in (*before, *after) for step in one["steps"]))
    for step in steps:
        cells = []
        for side, seconds in zip((before, after), whole, strict=True):
            own = [one["steps"][step] for one in side if step in one["steps"]]
            part = median(own) if own else None
            cells.append("" if part is None else f"{part:.1f} s ({part / seconds:.0%})")
        lines.append(f"| {step} | {' | '.join(cells)} | |")
    times, peaks = (
        [[one[key] for one in side] for side in (after, before)]
        for key in ("seconds", "peak_bytes")
    )
    ratio = ratio_with_interval(paired_ratio(*times))
    lines.append(f"| **in all** | {whole[0]:.1f} s | {whole[1]:.1f} s | {ratio} |")
    sizes = [median(peak) / 1e9 for peak in peaks]
    ratio = ratio_with_interval(paired_ratio(*peaks))
    lines.append(f"| largest resident size | {sizes[1]:.2f} GB | {sizes[0]:.2f} GB | {ratio} |")
    for name in _COMPARED:
        made = {one["sha256"][name] for one in (*before, *after)}
        same = "the same bytes" if len(made) == 1 else "different bytes"
        lines.append(f"| `{name}` | | | {same} |")
    return "\n".join(lines)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = new_parser(__doc__, results=True)
    add = parser.add_argument
    add("--before", type=Path, metavar="DIR", help="a checkout of the earlier tree")
    add("--after", type=Path, default=_ROOT, metavar="DIR", help="the later one (default: this)")
    add("--checkpoint", type=Path, metavar="DIR", help="default: one with seeded weights")
    add("--shape", default="bert-base", choices=SHAPES, help="of the seeded weights (bert-base)")
    add("--turns", type=int, default=2, metavar="N", help="exports by each tree (2)")
    add("--threads", type=int, default=allowed_cores(), metavar="N", help="default: all cores")
    add("--under", default="", metavar="WORDS", help="a command that runs each export")
    args = parser.parse_args(words)
    if (args.before is None) == (args.table is None):
        parser.error("give --before DIR, or --table FILE")
    if min(args.turns, args.threads) < 1:
        parser.error("numbers must be from 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table, or print that of earlier results."""
    args = parse(words)

    def run() -> Json:
        checkpoint = args.checkpoint or random_checkpoint(args.shape, default_cache(), args.threads)
        found = measure(
            args.before,
            args.after,
            checkpoint,
            turns=args.turns,
            threads=args.threads,
            under=shlex.split(args.under),
        )
        return {**found, "checkpoint": args.checkpoint.name if args.checkpoint else args.shape}

    return measure_or_show("export_time", args, run, table)


if __name__ == "__main__":
    sys.exit(main())
