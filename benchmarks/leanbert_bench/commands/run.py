"""Measure every back end that is installed on one model: speed, memory, size, faithfulness.

The back ends take turns, each in a process of its own, with the same thread budget. What is not
installed is left out with a line that says how to have it. An interrupted run (Ctrl-C) goes on with
the same command.

examples:
  leanbert bench run --random-weights bert-base --quick
  leanbert bench run --checkpoint finbert -o results
  leanbert bench run --checkpoint finbert --input news.csv --label-column sentiment -o results
  leanbert bench run --checkpoint finbert --backends pytorch-eager-fp32,leanbert-int8-native
  leanbert bench run --bundle my-bundle -o results
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.cli.flags import add_reading_flags
from leanbert.errors import InputError, LeanBertError
from leanbert_bench.commands.arguments import positive, scenario_names, shape_list
from leanbert_bench.run.ticker import Ticker, duration, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from leanbert_bench.run.making import About
    from leanbert_bench.run.measuring import Run
    from leanbert_bench.run.plan import Plan

__all__ = ["add_arguments", "run"]

_TASKS = (
    "text-classification", "feature-extraction", "token-classification", "question-answering",
)  # fmt: skip
_RESULTS = "results.json"


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
        help="no checkpoint at hand: bert-base makes one of FinBERT's size; speed only",
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
        "--input", "--texts", type=Path, metavar="FILE",
        help="texts; CoNLL for token-classification, SQuAD's JSON for "
        "question-answering (default: LeanBERT's own labelled headlines)",
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


def run(args: argparse.Namespace) -> int:
    """Measure, and return the exit code: 1 if any back end failed or hung.

    Raises:
        InputError: a file or an argument cannot be used.
        LeanBertError: the checkpoint or a bundle cannot be used.
    """
    from leanbert_bench import provenance
    from leanbert_bench.backends import REGISTRY, backend_class

    if args.list_backends:
        for id_, factory in REGISTRY.items():
            sys.stdout.write(f"{id_:<27}{backend_class(factory).name}\n")
        return 0
    from leanbert.cpu import allowed_cores
    from leanbert_bench.run.journal import Journal
    from leanbert_bench.run.making import About
    from leanbert_bench.run.measuring import Run
    from leanbert_bench.run.preparing import default_cache
    from leanbert_bench.run.subjects import choose_specs, choose_subject, choose_workload

    begin = time.monotonic()
    plan = _plan(args)
    cache = (args.cache_dir or default_cache()).absolute()
    output, file = _outputs(args.output)
    threads = args.threads or allowed_cores()
    subject = choose_subject(args, cache, threads)
    workload = choose_workload(args, subject)
    specs = choose_specs(args, subject)
    about = About(
        command=shlex.join(["leanbert", "bench", "run", *_given()]),
        machine=provenance.describe_machine(),
        versions=provenance.versions(),
        commit=provenance.source_commit(),
        texts=not args.no_texts,
    )
    journal = Journal(
        output / "partial",
        {
            "plan": repr(plan),
            "model": [subject.name, subject.task, subject.weights_sha256, subject.random_weights],
            "data": [workload.sha256, len(workload.texts), workload.labels is not None],
            "backends": [[spec.id, spec.factory, str(spec.bundle)] for spec in specs],
            "threads": threads,
            "versions": about.versions,
            "commit": about.commit,
        },
    )
    if journal.resumed:
        say(f"going on from the finished steps in {output / 'partial'}")
    ticker = Ticker(begin, plan.seconds)
    run_ = Run(
        plan, specs, subject, workload,
        threads=threads, cache=cache, journal=journal, begin=begin, say=ticker.say,
        on_turn=lambda turn: _after_turn(run_, about, file, begin, turn),
    )  # fmt: skip
    try:
        run_.screen()
        for who in run_.participants:
            if who.status == "skipped":
                hint = f"; to have it: {who.install}" if who.install else ""
                say(f"{who.spec.name} is left out: {who.reason}{hint}")
        if not any(who.status == "ok" for who in run_.participants):
            raise InputError("no back end can run here; the lines above say why")
        _estimate(run_, ticker)
        run_.execute()
    except KeyboardInterrupt:
        _write(run_, replace(about, seconds=time.monotonic() - begin), file)
        journal.close()
        say(f"interrupted; the same command goes on from here ({output / 'partial'})")
        raise
    results = _write(run_, replace(about, seconds=time.monotonic() - begin, complete=True), file)
    journal.remove()
    _report(results, output, file)
    failed = [who for who in run_.participants if who.status in {"failed", "timed_out"}]
    for who in failed:
        say(f"{who.spec.name} gave no result: {who.reason}")
    return 1 if failed else 0


def _plan(args: argparse.Namespace) -> Plan:
    from leanbert_bench.run.plan import FULL, QUICK

    plan = QUICK if args.quick else FULL
    counts = plan.memory_counts
    if args.memory_texts is not None:
        counts = tuple(sorted({min(1_000, args.memory_texts), args.memory_texts}))
    return replace(
        plan,
        turns=args.turns or plan.turns,
        grid=args.grid or plan.grid,
        scenarios=args.scenarios or plan.scenarios,
        single=args.sample or plan.single,
        memory_counts=counts,
        cold_starts=args.cold_starts or plan.cold_starts,
        time_limit_s=float(args.time_limit or plan.time_limit_s),
    )


def _outputs(given: Path) -> tuple[Path, Path]:
    """The directory of all that is written, and the results' file."""
    if given.suffix == ".json":
        folder, results = given.parent / f"{given.stem}-bench", given
        if not given.absolute().parent.is_dir():
            raise InputError(f"{given.parent}: is not a directory")
    else:
        folder, results = given, given / _RESULTS
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; --output takes a directory")
    folder.mkdir(parents=True, exist_ok=True)
    return folder, results


def _estimate(run_: Run, ticker: Ticker) -> None:
    """Say how long it will take, from the machine's speed and the model's operations."""
    from leanbert_bench.run.plan import estimate_seconds

    if run_.plan.quick:
        ticker.expect(run_.plan.seconds or 0.0)
        return
    roof = run_.measure_roof(0)
    peaks = {"int8": 1e9 * roof["int8_gops"], "fp32": 1e9 * roof["fp32_gflops"]} if roof else None
    seconds = estimate_seconds(
        run_.plan,
        run_.speed(peaks),
        [
            (who.kind.family, who.spec.precision, run_.expected_preparation(who))
            for who in run_.participants
            if who.status == "ok"
        ],
        rows=0 if run_.subject.random_weights else len(run_.workload.texts),
    )
    alive = sum(who.status == "ok" for who in run_.participants)
    say(
        f"{alive} back end(s), {run_.plan.turns} turn(s): about {duration(seconds)}; it may be "
        "interrupted (Ctrl-C), the same command goes on"
    )
    ticker.expect(seconds)


def _after_turn(run_: Run, about: About, file: Path, begin: float, turn: int) -> None:
    results = _write(run_, replace(about, seconds=time.monotonic() - begin), file)
    if turn + 1 < run_.plan.turns and not run_.plan.quick:
        _table(results)


def _write(run_: Run, about: About, file: Path) -> dict[str, Any]:
    from leanbert_bench.results.schema import write_json
    from leanbert_bench.run.making import make_results

    results = make_results(run_, about)
    write_json(file, results)
    return results


def _table(results: dict[str, Any]) -> None:
    """Print the table for a terminal."""
    terminal_table: Callable[[dict[str, Any]], str]
    from leanbert_bench.report.terminal import terminal_table

    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(clear)
    sys.stderr.flush()
    sys.stdout.write(terminal_table(results).rstrip("\n") + "\n")
    sys.stdout.flush()


def _report(results: dict[str, Any], output: Path, file: Path) -> None:
    _table(results)
    from leanbert_bench.report.writing import write_reports

    try:
        write_reports(results, output)
    except LeanBertError as error:
        say(f"no report was drawn: {error}")
    say(f"wrote {file} and the reports in {output}")


def _given() -> list[str]:
    """The words of the command line after ``run``, as they were given."""
    words = sys.argv[1:]
    return words[words.index("run") + 1 :] if "run" in words else []
