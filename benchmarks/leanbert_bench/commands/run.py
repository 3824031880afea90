"""Measure the back ends that are installed, in turns: speed, memory, size and fidelity.

After an interruption (Ctrl-C) the same command goes on.

examples:
  leanbert bench run --random-weights bert-base --quick
  leanbert bench run --checkpoint finbert --bundle finbert-int8 -o results
  leanbert bench run --checkpoint finbert --measure forward
  leanbert bench run --checkpoint finbert -i news.csv --label-column sentiment
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.cli.streams import put
from leanbert.errors import InputError, LeanBertError
from leanbert_bench.commands.run_options import add_arguments, plan_of
from leanbert_bench.run.ticker import Ticker, duration, say

if TYPE_CHECKING:
    import argparse

    from leanbert_bench.run.making import About
    from leanbert_bench.run.measuring import Run

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Measure, and return the exit code: 1 if any back end failed or hung.

    Raises:
        InputError: a file or an argument cannot be used.
        LeanBertError: the checkpoint or a bundle cannot be used.
    """
    if args.checkpoint is not None and args.random_weights is not None:
        raise InputError("--random-weights takes the place of --checkpoint; give one of them")
    if args.list_backends:
        return _list_backends()
    from leanbert.cpu import allowed_cores
    from leanbert_bench import provenance
    from leanbert_bench.run.journal import Journal
    from leanbert_bench.run.making import About
    from leanbert_bench.run.measuring import Run
    from leanbert_bench.run.preparing import default_cache
    from leanbert_bench.run.subjects import choose_specs, choose_subject, choose_workload

    begin = time.monotonic()
    plan = plan_of(args)
    cache = (args.cache_dir or default_cache()).absolute()
    output, file = _outputs(args.output)
    threads = args.threads or allowed_cores()
    subject = choose_subject(args, cache, threads)
    workload = choose_workload(args, subject)
    specs = choose_specs(args, subject)
    about = About(
        command=" ".join([*_held_to(), shlex.join(["leanbert", "bench", "run", *_given()])]),
        machine=provenance.describe_machine(),
        versions=provenance.versions(),
        commit=provenance.source_commit(),
        isa=os.environ.get("LEANBERT_ISA"),
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
            "isa": about.isa,
        },
    )
    if journal.resumed:
        say(f"going on from the finished steps in {output / 'partial'}")
    ticker = Ticker(begin, plan.seconds)

    def write(complete: bool = False) -> dict[str, Any]:
        seconds = time.monotonic() - begin
        return _write(run_, replace(about, seconds=seconds, complete=complete), file)

    def after_turn(turn: int) -> None:
        results = write()
        if turn + 1 < plan.turns and not plan.quick:
            _show(results)

    run_ = Run(
        plan, specs, subject, workload,
        threads=threads, cache=cache, journal=journal, begin=begin, say=ticker.say,
        on_turn=after_turn,
    )  # fmt: skip
    try:
        _screen(run_)
        _estimate(run_, ticker)
        run_.execute()
    except KeyboardInterrupt:
        write()
        journal.close()
        say(f"interrupted; the same command goes on from here ({output / 'partial'})")
        raise
    results = write(complete=True)
    journal.remove()
    _report(results, output, file)
    failed = [who for who in run_.participants if who.status in {"failed", "timed_out"}]
    for who in failed:
        say(f"{who.spec.name} gave no result: {who.reason}")
    return 1 if failed else 0


def _list_backends() -> int:
    from leanbert_bench.backends import REGISTRY, backend_class

    for id_, factory in REGISTRY.items():
        kind = backend_class(factory)
        note = " (only if named)" if kind.only_if_named else ""
        sys.stdout.write(f"{id_:<34}{kind.name}{note}\n")
    return 0


def _outputs(given: Path) -> tuple[Path, Path]:
    """Return the directory of all that is written, and the file of the results."""
    from leanbert.cli.outputs import check_output, make_directory
    from leanbert_bench.results.schema import NAME

    if given.suffix == ".json":
        folder, file = given.parent / f"{given.stem}-bench", given
        check_output(given)
    else:
        folder, file = given, given / NAME
    make_directory(folder)
    return folder, file


def _screen(run_: Run) -> None:
    """Leave out the back ends that cannot run here, and say why."""
    run_.screen()
    for who in run_.participants:
        if who.status == "skipped":
            hint = f"; to have it: {who.install}" if who.install else ""
            say(f"{who.spec.name} is left out: {who.reason}{hint}")
    if not any(who.status == "ok" for who in run_.participants):
        raise InputError("no back end can run here; the lines above say why")


def _estimate(run_: Run, ticker: Ticker) -> None:
    """Say how long it will take, from the machine's speed and the model's operations."""
    from leanbert_bench.run.budget import expected_preparation, speed_of
    from leanbert_bench.run.plan import estimate_seconds

    if run_.plan.quick:
        ticker.expect(run_.plan.seconds or 0.0)
        return
    roof = run_.measure_roof(0)
    peaks = {"int8": 1e9 * roof["int8_gops"], "fp32": 1e9 * roof["fp32_gflops"]} if roof else None
    alive = [who for who in run_.participants if who.status == "ok"]
    seconds = estimate_seconds(
        run_.plan,
        speed_of(run_.bench, peaks),
        [
            (who.kind.family, who.spec.precision, expected_preparation(who.kind, run_.bench))
            for who in alive
        ],
        rows=0 if run_.subject.random_weights else len(run_.workload.texts),
    )
    say(
        f"{len(alive)} back end(s), {run_.plan.turns} turn(s): about {duration(seconds)}; it may "
        "be interrupted (Ctrl-C), the same command goes on"
    )
    ticker.expect(seconds)


def _write(run_: Run, about: About, file: Path) -> dict[str, Any]:
    from leanbert_bench.results.schema import write_json
    from leanbert_bench.run.making import make_results

    results = make_results(run_, about)
    write_json(file, results)
    return results


def _show(results: dict[str, Any]) -> None:
    """Print the table for a terminal."""
    from leanbert_bench.report.terminal import terminal_table

    if sys.stderr.isatty():
        put("\r\x1b[K")
    sys.stdout.write(terminal_table(results).rstrip("\n") + "\n")
    sys.stdout.flush()


def _report(results: dict[str, Any], output: Path, file: Path) -> None:
    _show(results)
    from leanbert_bench.report.writing import write_reports

    try:
        write_reports(results, output)
    except LeanBertError as error:
        say(f"no report was drawn: {error}")
    say(f"wrote {file} and the reports in {output}")


def _held_to() -> list[str]:
    """Return what in the environment holds engines to older CPUs, as a shell takes it.

    ``LEANBERT_ISA`` is the native engine's, ``ONEDNN_MAX_CPU_ISA`` oneDNN's (OpenVINO, torch).
    """
    names = ("LEANBERT_ISA", "ONEDNN_MAX_CPU_ISA")
    return [f"{name}={shlex.quote(os.environ[name])}" for name in names if name in os.environ]


def _given() -> list[str]:
    """Return the words of the command line after ``run``, as they were given."""
    words = sys.argv[1:]
    return words[words.index("run") + 1 :] if "run" in words else []
