"""Show what changed between two runs, and fail if it is too much.

Changes are paired by back end, scenario and shape, with a 95% interval over the turns; where the
interval of a ratio contains 1 there is no significant difference.

examples:
  leanbert bench compare old/results.json new/results.json
  leanbert bench compare old new --fail-if "latency > 1.1x" --fail-if "rss > 2x"

Conditions (METRIC OPERATOR AMOUNT) are about the change from OLD to NEW:
  latency, throughput, cold_start, rss   new over old: "latency > 1.10x"
  accuracy, agreement                    new less old, points: "accuracy < -0.5"
  flips                                  new less old, texts: "flips > 3"
Operators are < <= > >=. latency means the forward pass, SingleStream and
MultiStream; throughput means Offline and Server; rss means the peak and the
memory after 10,000 texts. One of them suffices. A ratio must be significant,
unless no change at all would meet the condition. A back end or a figure that
only the old run has meets every condition on it.

Exit codes: 0 no condition holds; 1 one holds; 2 it cannot be judged: a bad
condition, nothing that it is about, or runs that differ in texts or threads.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from leanbert_bench.results.compare import Change, Comparison


_INCOMPARABLE = ("texts", "task", "threads")
_HEAD = ("", "old", "new", "", "change", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("old", type=Path, metavar="OLD", help="results.json, or the directory that holds it")
    add("new", type=Path, metavar="NEW", help="the same of the run after the change")
    add(
        "--fail-if", action="append", default=[], metavar="CONDITION",
        help="exit with 1 if it holds; may be given several times",
    )  # fmt: skip
    add(
        "--backend", action="append", default=[], metavar="ID",
        help="only this back end; may be given several times",
    )  # fmt: skip
    add(
        "--relative", action="store_true",
        help="divide by each run's reference, to cancel the machine out",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the changes and judge the conditions.

    Raises:
        InputError: a file, an id or a condition cannot be used.
    """
    from leanbert.errors import InputError
    from leanbert_bench.results.compare import compare, differences
    from leanbert_bench.results.conditions import parse_condition, verdicts
    from leanbert_bench.results.schema import read_results

    conditions = [parse_condition(text) for text in args.fail_if]
    old, new = read_results(args.old), read_results(args.new)
    found = compare(old, new, backends=args.backend, relative=args.relative)
    other = differences(old, new)
    lines = [*_changes(found)]
    if other:
        lines += ["also different:", *(f"  {name}: {what}" for name, what in other.items())]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    barred = [name for name in _INCOMPARABLE if name in other]
    if conditions and barred:
        raise InputError(f"the runs differ in {', '.join(barred)}: no condition can be judged")
    failed = False
    for condition in conditions:
        reasons = verdicts(found, condition)
        failed = failed or bool(reasons)
        sys.stdout.write(f"{'FAIL' if reasons else 'ok'}: {condition.text}\n")
        sys.stdout.write("".join(f"  {reason}\n" for reason in reasons))
    return 1 if failed else 0


def _changes(found: Comparison) -> Iterator[str]:
    rows = [_cells(change) for change in found.changes]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    name = None
    for change, cells in zip(found.changes, rows, strict=True):
        if change.name != name:
            name = change.name
            yield f"{name} ({change.backend})"
        what, old, new, unit, ratio, verdict = (
            cell.ljust(width) if i in (0, 3, 4, 5) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        yield f"  {what}  {old} → {new} {unit}  {ratio}  {verdict}".rstrip()
    for lost, reason in found.lost:
        yield f"{lost}: no result any more ({reason})"
    for added in found.added:
        yield f"{added}: only in the new run"


def _cells(change: Change) -> tuple[str, ...]:
    from leanbert_bench.report.formatting import fixed, number, ratio, tiny

    def shown(value: float | None) -> str:
        if change.unit == "texts":
            return fixed(value, 0)
        return number(value) if change.unit else tiny(value)

    metric = f"{change.metric}: " if change.metric else ""
    if change.ratio is not None:
        size = ratio(change.ratio)
        if change.ratio.certain:
            size += f" [{number(change.ratio.low)}, {number(change.ratio.high)}]"
    elif change.difference is None:
        size = ""
    else:
        form = {"%": "+.2f", "texts": "+.0f"}.get(change.unit, "+.1e")
        size = f"{change.difference:{form}}{' points' if change.unit == '%' else ''}"
        if change.texts and change.difference:
            size += f", {abs(change.difference) / 100 * change.texts:.0f} of {change.texts} texts"
    return (
        f"{metric}{change.what}", shown(change.old), shown(change.new) or "–", change.unit, size,
        change.verdict,
    )  # fmt: skip
