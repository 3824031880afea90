"""The options of ``leanbert bench run``, and the plan that they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leanbert.cli.flags import add_reading_flags
from leanbert_bench.commands.arguments import (
    engine_names,
    measure_names,
    positive,
    scenario_names,
    shape_list,
)
from leanbert_bench.run.plan import MEASURES

if TYPE_CHECKING:
    import argparse

    from leanbert_bench.run.plan import Plan

__all__ = ["add_arguments", "plan_of"]

_TASKS = (
    "text-classification", "feature-extraction", "token-classification", "question-answering",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``run``."""
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--checkpoint", "--model", type=Path, metavar="DIR",
        help="Hugging Face checkpoint that everything is made from",
    )  # fmt: skip
    which.add_argument(
        "--random-weights", metavar="SHAPE",
        help="no checkpoint at hand: bert-base makes one of FinBERT's size, minilm a smaller one; "
        "speed only",
    )  # fmt: skip
    add(
        "--bundle", type=Path, nargs="+", action="extend", default=[], metavar="DIR",
        help="LeanBERT bundle of that checkpoint, to be measured as well; several may be given",
    )  # fmt: skip
    add("--task", choices=_TASKS, help="default: what the checkpoint's head is for")
    add(
        "--backends", metavar="ID,...",
        help="only these (default: all); --list-backends shows them",
    )  # fmt: skip
    add("--list-backends", action="store_true", help="show the back ends, and end")
    add(
        "--engines", type=engine_names, metavar="NAME,...",
        help="run each --bundle on these engines: native, onnxruntime (default: LeanBERT chooses)",
    )  # fmt: skip
    add(
        "--measure", type=measure_names, default=tuple(MEASURES), metavar="WHAT,...",
        help=f"only these of {', '.join(MEASURES)} (default: all)",
    )  # fmt: skip
    add(
        "--input", "--texts", type=Path, metavar="FILE",
        help="texts; CoNLL for token-classification, SQuAD's JSON for question-answering "
        "(default: LeanBERT's own labelled headlines)",
    )  # fmt: skip
    add_reading_flags(parser, labels=True)
    add("--limit", type=positive, metavar="N", help="a seeded sample of so many rows")
    add(
        "--no-texts", action="store_true",
        help="keep the texts of --input out of what is written (flipped labels are listed without "
        "them): for texts that may not be passed on",
    )  # fmt: skip
    add("--quick", action="store_true", help="less of everything: two minutes on two cores")
    add("--threads", type=positive, metavar="N", help="of each engine (default: all allowed)")
    add("--turns", type=positive, metavar="N", help="of each back end (default: 5; --quick: 2)")
    add("--grid", type=shape_list, metavar="BxT,...", help="batch x tokens (default: 1x8 to 1x512)")
    add(
        "--scenarios", type=scenario_names, metavar="NAME,...",
        help="of SingleStream, MultiStream, Offline, Server (default: all)",
    )  # fmt: skip
    add("--sample", type=positive, metavar="N", help="queries of SingleStream a turn (100)")
    add(
        "--memory-texts", type=positive, metavar="N",
        help="texts after which resident memory is read a second time (10000)",
    )  # fmt: skip
    add("--cold-starts", type=positive, metavar="N", help="of each back end (5)")
    add("--time-limit", type=positive, metavar="S", help="seconds of one step of a back end (900)")
    add("--cache-dir", type=Path, metavar="DIR", help="keep what is made for the back ends here")
    add(
        "-o", "--output", type=Path, default=Path("leanbert-bench"), metavar="DIR",
        help="results.json, report.md, report.html (default: leanbert-bench); a name that ends "
        "in .json is that file alone",
    )  # fmt: skip


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what the options ask to be measured."""
    from leanbert_bench.run.plan import FULL, QUICK, restricted

    plan = QUICK if args.quick else FULL
    counts = plan.memory_counts
    if args.memory_texts is not None:
        counts = tuple(sorted({min(1_000, args.memory_texts), args.memory_texts}))
    plan = replace(
        plan,
        turns=args.turns or plan.turns,
        grid=args.grid or plan.grid,
        scenarios=args.scenarios or plan.scenarios,
        single=args.sample or plan.single,
        memory_counts=counts,
        cold_starts=args.cold_starts or plan.cold_starts,
        time_limit_s=float(args.time_limit or plan.time_limit_s),
    )
    return restricted(plan, args.measure)
