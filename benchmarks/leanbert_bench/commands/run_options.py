"""The options of ``leanbert bench run``, and the plan that they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leanbert.cli.flags import add_alias, add_reading_flags
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


_TASKS = (
    "text-classification", "feature-extraction", "token-classification", "question-answering",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``run``."""
    group = parser.add_argument_group("model")
    add = group.add_argument
    add("--checkpoint", type=Path, metavar="DIR", help="Hugging Face checkpoint to measure")
    add_alias(group, "--model", dest="checkpoint", type=Path)
    add("--random-weights", metavar="SHAPE", help="bert-base or minilm: speed only")
    add(
        "--bundle", type=Path, nargs="+", action="extend", default=[], metavar="DIR",
        help="LeanBERT bundles of that checkpoint",
    )  # fmt: skip
    add("--task", choices=_TASKS, metavar="TASK", help="default: what the head is for")
    add("--backends", metavar="ID,...", help="only these (default: all)")
    add("--list-backends", action="store_true", help="show the back ends, and end")
    add("--engines", type=engine_names, metavar="NAME,...", help="of each --bundle")
    group = parser.add_argument_group("texts")
    add = group.add_argument
    add("-i", "--input", type=Path, metavar="FILE", help="default: LeanBERT's own headlines")
    add_alias(group, "--texts", dest="input", type=Path)
    add_reading_flags(group, labels=True)
    add("--limit", type=positive, metavar="N", help="a seeded sample of N rows")
    add("--no-texts", action="store_true", help="keep the texts out of what is written")
    group = parser.add_argument_group("measurement")
    add = group.add_argument
    add("--quick", action="store_true", help="less of everything: two minutes")
    add(
        "--measure", type=measure_names, default=tuple(MEASURES), metavar="WHAT,...",
        help=f"only some of {', '.join(MEASURES)}",
    )  # fmt: skip
    add("--threads", type=positive, metavar="N", help="of each engine (default: all allowed)")
    add("--turns", type=positive, metavar="N", help="of each back end (default: 5; quick: 2)")
    add("--grid", type=shape_list, metavar="BxT,...", help="batch x tokens, such as 1x8,8x32")
    add(
        "--scenarios", type=scenario_names, metavar="NAME,...",
        help="only some of MLPerf's (default: all)",
    )  # fmt: skip
    add("--sample", type=positive, metavar="N", help="queries of SingleStream per turn (100)")
    add("--memory-texts", type=positive, metavar="N", help="texts before memory is read (10000)")
    add("--cold-starts", type=positive, metavar="N", help="of each back end (5)")
    add("--time-limit", type=positive, metavar="S", help="seconds per step of a back end (900)")
    group = parser.add_argument_group("output")
    add = group.add_argument
    add(
        "-o", "--output", type=Path, default=Path("leanbert-bench"), metavar="DIR",
        help="a directory or .json file (leanbert-bench)",
    )  # fmt: skip
    add("--cache-dir", type=Path, metavar="DIR", help="keep what is made for the back ends here")


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
