"""Show where a bundle's time goes: its operators at several shapes, by ONNX Runtime's profiler.

The session is LeanBERT's own, with the profiler turned on. Matrix multiplications are listed by the
shapes of their input and output. The profiler takes time of its own, most where a run is short, so
use leanbert bench run --measure forward for times.

examples:
  python -m studies.operators build/finbert -o operators.json
  python -m studies.operators build/finbert --shapes 1x32 --threads 1
  python -m studies.operators --table benchmarks/results/operators.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.engines import Batch
from leanbert.engines.onnxruntime import OnnxRuntimeEngine
from leanbert.engines.ort import ort
from leanbert.errors import InputError
from leanbert_bench.backends.base import random_inputs
from leanbert_bench.commands.arguments import positive, shape_list
from leanbert_bench.provenance import describe_bundle, describe_study
from leanbert_bench.statistics import median
from studies.command_line import Json, measure_or_show, new_parser

SHAPES = ((8, 128), (1, 512), (1, 8))
WARM_UP = 3
"""Runs that are left out at the beginning."""

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """An operator, or the matrix multiplications of one shape."""

    operator: str
    """Its type; for a matrix multiplication also the shapes of its input and output."""
    count: float
    """Calls per run."""
    total_ms: float
    """Milliseconds per run."""
    share: float
    """The share of the time of all operators, 0 to 1."""
    per_call_ms: float


class ProfiledEngine(OnnxRuntimeEngine):
    """LeanBERT's engine, writing a profile.

    Args:
        bundle: what to run.
        threads: see :class:`~leanbert.engines.onnxruntime.OnnxRuntimeEngine`.
        folder: where the profile goes.
    """

    def __init__(self, bundle: Bundle, threads: int, folder: Path) -> None:
        self._folder = folder
        super().__init__(bundle, threads)

    def _options(self, bundle: Bundle, threads: int) -> ort.SessionOptions:
        options = super()._options(bundle, threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(self._folder / "profile")
        return options

    def events(self) -> list[Event]:
        """End the profile and read it."""
        path = Path(self._session.end_profiling())
        events: list[Event] = json.loads(path.read_text(encoding="utf-8"))
        return events


def label(arguments: Mapping[str, Any]) -> str:
    """Return the name that a kernel's event is counted under, from the ``args`` of the event.

    ``input_type_shape`` and ``output_type_shape`` are lists of ``{type: shape}``. Weights that the
    runtime has packed are missing there, so the first input and the output name the shape.
    """
    operator = str(arguments["op_name"])
    if "MatMul" not in operator and operator != "Gemm":
        return operator
    ends = [
        "x".join(map(str, shape))
        for key in ("input_type_shape", "output_type_shape")
        for each in arguments.get(key, [])[:1]
        for shape in each.values()
    ]
    return f"{operator} {' → '.join(ends)}".rstrip()


def summarize(events: Iterable[Event], warm_up: int = WARM_UP) -> tuple[list[Row], float]:
    """Return the operators of all runs but the first, the longest first, and a run's median in ms.

    Args:
        events: the events of ONNX Runtime's profile; ``ts`` and ``dur`` are microseconds.
        warm_up: how many runs are left out; another must follow.

    Raises:
        ValueError: the profile has no run beyond them.
    """
    events = list(events)
    runs = sorted((e["ts"], e["dur"]) for e in events if e["name"] == "model_run")
    if len(runs) <= warm_up:
        raise ValueError(f"{len(runs)} runs in the profile; expected more than {warm_up}")
    start = runs[warm_up][0]
    kept = len(runs) - warm_up
    spent: dict[str, list[float]] = defaultdict(list)
    for event in events:
        kernel = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        if kernel and event["ts"] >= start:
            spent[label(event["args"])].append(event["dur"] / 1e3)
    whole = sum(map(sum, spent.values()))
    rows = [
        Row(name, len(ms) / kept, sum(ms) / kept, sum(ms) / whole, sum(ms) / len(ms))
        for name, ms in spent.items()
    ]
    rows.sort(key=lambda row: -row.total_ms)
    return rows, median([duration / 1e3 for _, duration in runs[warm_up:]])


def profile(bundle: Bundle, shape: tuple[int, int], threads: int, runs: int) -> Json:
    """Run one shape in a session of its own, and sum up its profile.

    Raises:
        LeanBertError: the bundle cannot be run.
    """
    vocabulary = bundle.config.raw.get("vocab_size")
    if not isinstance(vocabulary, int):
        raise InputError("config.json has no vocab_size; export the checkpoint again")
    with tempfile.TemporaryDirectory(prefix="leanbert-profile-") as folder:
        engine = ProfiledEngine(bundle, threads, Path(folder))
        batch = Batch.of(random_inputs(*shape, vocabulary)["input_ids"].tolist())
        for _ in range(WARM_UP + runs):
            engine.run(batch)
        rows, run_ms = summarize(engine.events())
    return {
        "shape": "x".join(map(str, shape)),
        "runs": runs,
        "run_ms": run_ms,
        "operators": [asdict(row) for row in rows],
    }


def markdown(found: Json, smallest: float) -> str:
    """One shape's table; operators of a smaller share than ``smallest`` are summed up."""
    lines = [
        f"**{found['shape']}**: a run takes {found['run_ms']:.1f} ms (median of {found['runs']})",
        "",
        "| operator | calls | total, ms | share | a call, ms |",
        "|---|--:|--:|--:|--:|",
    ]
    shown = [row for row in found["operators"] if row["share"] >= smallest]
    rest = found["operators"][len(shown) :]
    lines += [
        f"| {row['operator']} | {row['count']:g} | {row['total_ms']:.2f} | "
        f"{100 * row['share']:.1f}% | {row['per_call_ms']:.3f} |"
        for row in shown
    ]
    if rest:
        total = [sum(row[key] for row in rest) for key in ("count", "total_ms", "share")]
        kinds = f"{len(rest)} other{'s' if len(rest) > 1 else ''}"
        lines.append(f"| {kinds} | {total[0]:g} | {total[1]:.2f} | {100 * total[2]:.1f}% | |")
    return "\n".join(lines) + "\n"


def table(found: Json, smallest: float) -> str:
    """Return what was measured, and a Markdown table per shape."""
    machine, settings = found["machine"], found["settings"]
    runtime = found["versions"]["onnxruntime"]
    head = f"{machine['cpu']}, {settings['threads']} threads, onnxruntime {runtime}, "
    head += f"{found['created'][:10]}.\n\n"
    return head + "\n".join(markdown(each, smallest) for each in found["shapes"])


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__, results=True)
    add = parser.add_argument
    add("bundle", type=Path, nargs="?", metavar="DIR", help="the bundle to profile")
    add(
        "--shapes", type=shape_list, default=SHAPES, metavar="BxT,...",
        help="batch x tokens (8x128,1x512,1x8)",
    )  # fmt: skip
    add("--threads", type=positive, default=2, metavar="N", help="of a run (2)")
    add("--runs", type=positive, default=20, metavar="N", help="of each shape (20)")
    add(
        "--smallest", type=float, default=0.01, metavar="SHARE",
        help="smaller shares of the time are summed up as others (0.01)",
    )  # fmt: skip
    args = parser.parse_args(words)
    if (args.bundle is None) == (args.table is None):
        parser.error("give a bundle to profile, or --table FILE")
    return args


def measure(args: argparse.Namespace) -> Json:
    """Profile every shape.

    Raises:
        LeanBertError: the bundle cannot be run.
    """
    bundle = Bundle.open(args.bundle)
    return {
        **describe_study(),
        "settings": {"threads": args.threads, "runs": args.runs, "warm_up": WARM_UP},
        "bundle": describe_bundle(args.bundle),
        "shapes": [profile(bundle, shape, args.threads, args.runs) for shape in args.shapes],
    }


def main(words: Sequence[str] | None = None) -> int:
    """Profile and print the tables, or print those of earlier results."""
    args = parse(words)
    return measure_or_show(
        "operators", args, lambda: measure(args), lambda found: table(found, args.smallest)
    )


if __name__ == "__main__":
    sys.exit(main())
