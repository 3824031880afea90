"""Compare speed, memory and fidelity with PyTorch and Optimum on this machine.

Examples:
  leanbert bench run --checkpoint HF_DIR --bundle DIR --texts texts.csv --threads 2 -o results.json
  leanbert bench table results.json --readme README.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leanbert.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert_bench.runner import Spec

__all__ = ["add_arguments", "run"]

_HEAVY = ("torch", "transformers", "optimum-onnx", "onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``run`` and ``table`` with their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="run|table")
    measure = actions.add_parser("run", help="measure, and write all numbers as JSON")
    add = measure.add_argument
    add("--checkpoint", type=Path, required=True, metavar="DIR", help="Hugging Face checkpoint")
    add(
        "--bundle", type=Path, required=True, nargs="+", action="extend", metavar="DIR",
        help="LeanBERT bundle of that checkpoint; several may be given",
    )  # fmt: skip
    add("--texts", type=Path, required=True, metavar="FILE", help=".txt (one a line) or .csv")
    add("--text-column", default="text", metavar="NAME", help="of a .csv (default: text)")
    add(
        "--label-column", metavar="NAME",
        help="of a .csv: true labels, named as the model names them; adds the accuracy",
    )  # fmt: skip
    add("--limit", type=_positive, metavar="N", help="a seeded sample of so many rows")
    add("--threads", type=_positive, metavar="N", help="of each engine (default: all allowed)")
    add("--turns", type=_positive, default=5, metavar="N", help="of each engine (default: 5)")
    add(
        "--sample", type=_positive, default=50, metavar="N",
        help="texts a turn answers one by one (default: 50)",
    )  # fmt: skip
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="results, JSON")
    table = actions.add_parser("table", help="show results as a Markdown table")
    table.add_argument("results", type=Path, help="what run wrote")
    table.add_argument(
        "--readme", type=Path, metavar="FILE",
        help="put the table between <!-- bench:start --> and <!-- bench:end --> of this file",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure or show, and return the exit code: 1 if any back end gave no result.

    Raises:
        InputError: a file or an argument cannot be used.
        MissingExtraError: the libraries to compare with are not installed.
    """
    return _table(args) if args.action == "table" else _measure(args)


def _table(args: argparse.Namespace) -> int:
    from leanbert_bench.report import markdown, read_document, replace_section

    text = markdown(read_document(args.results))
    if args.readme is None:
        sys.stdout.write(text)
    else:
        replace_section(args.readme, text)
    return 0


def _measure(args: argparse.Namespace) -> int:
    from leanbert_bench.report import installed

    missing = [name for name in _HEAVY if installed(name) is None]
    if missing:
        raise MissingExtraError(
            f"bench needs {', '.join(missing)}; install with: pip install 'leanbert[bench]'"
        )
    from leanbert.cli.progress import Progress
    from leanbert.cpu import allowed_cores
    from leanbert_bench.report import (
        describe_bundle,
        describe_machine,
        make_document,
        write_document,
    )
    from leanbert_bench.runner import measure
    from leanbert_bench.workload import read_workload

    known = _labels(args.checkpoint)
    for bundle in args.bundle:
        if _labels(bundle) != known:
            raise InputError(f"{bundle}: its labels are not those of {args.checkpoint}")
    if not args.output.absolute().parent.is_dir():
        raise InputError(f"{args.output.parent}: is not a directory")
    workload = read_workload(
        args.texts, text_column=args.text_column, label_column=args.label_column, limit=args.limit
    )
    strange = sorted(set(workload.labels or ()) - known)
    if strange:
        raise InputError(
            f"{args.texts}: the label {strange[0]!r} is none of the model's: "
            f"{', '.join(sorted(known))}"
        )
    threads = args.threads or allowed_cores()
    specs = _specs(args.checkpoint, args.bundle)
    machine = describe_machine()
    with Progress(len(specs) * (1 + args.turns), "steps") as progress:
        measurements = measure(
            specs,
            workload,
            threads=threads,
            turns=args.turns,
            sample=args.sample,
            progress=progress,
        )
    document = make_document(
        measurements,
        workload,
        machine=machine,
        bundles=[describe_bundle(path) for path in args.bundle],
        settings={
            "threads": threads,
            "turns": args.turns,
            "sample": min(args.sample, len(workload.texts)),
        },
    )
    write_document(args.output, document)
    failed = [item for item in measurements if item.error]
    for item in failed:
        sys.stderr.write(f"leanbert: bench: {item.spec.name} gave no result: {item.error}\n")
    return 1 if failed else 0


def _specs(checkpoint: Path, bundles: Sequence[Path]) -> list[Spec]:
    """The back ends; the first one is the reference."""
    from leanbert_bench.backends import optimum_preset
    from leanbert_bench.runner import Spec

    home = "leanbert_bench.backends"
    return [
        Spec("transformers, PyTorch fp32", f"{home}:Transformers", checkpoint),
        Spec(f"Optimum, int8 ({optimum_preset()} preset)", f"{home}:OptimumInt8", checkpoint),
        *(
            Spec(f"LeanBERT, {path.resolve().name}", f"{home}:LeanBert", path.resolve())
            for path in bundles
        ),
    ]


def _labels(folder: Path) -> set[str]:
    from leanbert.bundle.config import parse_config, read_json

    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: has no config.json; give a model directory")
    return set(parse_config(read_json(path), path).id2label.values())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
