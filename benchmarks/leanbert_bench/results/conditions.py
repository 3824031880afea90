"""Conditions on a change, such as ``latency > 1.10x``: their grammar, and when they hold.

The grammar, with any spaces between its parts::

    condition = metric ("<" | "<=" | ">" | ">=") amount
    amount    = number "x"    for latency, throughput, cold_start, rss: new over old
              | number        for accuracy, agreement: new less old, in points; for flips: in texts
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanbert.errors import InputError
from leanbert_bench.results.compare import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from leanbert_bench.statistics import Estimate


RELATIVE = ("latency", "throughput", "cold_start", "rss")
"""Metrics whose change is the ratio of new to old."""

ABSOLUTE = ("accuracy", "agreement", "flips")
"""Metrics whose change is the difference of new and old."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_FORM = re.compile(
    r"\s*(?P<metric>[a-z_]+)\s*(?P<operator>[<>]=?)\s*"
    r"(?P<amount>[+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*(?P<times>x?)\s*",
    re.ASCII,
)


@dataclass(frozen=True)
class Condition:
    """A parsed condition; it holds when something is wrong."""

    text: str
    """The condition as the user wrote it."""
    metric: str
    operator: str
    amount: float

    @property
    def relative(self) -> bool:
        """Whether it is about a ratio."""
        return self.metric in RELATIVE

    def holds(self, value: float) -> bool:
        """Tell whether it holds for a ratio or a difference that is known exactly."""
        return _OPERATORS[self.operator](value, self.amount)

    def holds_for(self, ratio: Estimate) -> bool:
        """Tell whether it holds for a measured ratio.

        A condition that an unchanged value does not meet must not be met by noise either, so the
        ratio's interval must leave out 1. A single turn has no interval, and its ratio suffices.
        """
        if not self.holds(ratio.median):
            return False
        return not ratio.certain or self.holds(1.0) or ratio.significant


def parse_condition(text: str) -> Condition:
    """Read one condition.

    Raises:
        InputError: it does not follow the grammar above; the message says how.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise InputError(
            f"--fail-if {text!r}: not of the form 'latency > 1.10x' or 'accuracy < -0.5'"
        )
    metric = found["metric"]
    if metric not in RELATIVE + ABSOLUTE:
        raise InputError(
            f"--fail-if {text!r}: unknown metric {metric!r}; there are "
            f"{', '.join(RELATIVE + ABSOLUTE)}"
        )
    if metric in RELATIVE and not found["times"]:
        raise InputError(f"--fail-if {text!r}: {metric} needs a ratio of new to old such as 1.10x")
    if metric in ABSOLUTE and found["times"]:
        unit = "texts, such as 3" if metric == "flips" else "points, such as -0.5"
        raise InputError(f"--fail-if {text!r}: {metric} needs a difference in {unit}")
    amount = float(found["amount"])
    if metric in RELATIVE and amount <= 0:
        raise InputError(f"--fail-if {text!r}: a ratio is above 0")
    return Condition(text.strip(), metric, found["operator"], amount)


def verdicts(comparison: Comparison, condition: Condition) -> list[str]:
    """Return a line for each change for which the condition holds; none if all is well.

    The condition also holds for a back end or a figure that only the old run has.

    Raises:
        InputError: there is nothing that the condition is about.
    """
    lines = [f"{name}: no result any more ({reason})" for name, reason in comparison.lost]
    about = [change for change in comparison.changes if change.metric == condition.metric]
    if not about and not lines:
        raise InputError(
            f"--fail-if {condition.text!r}: no back end has {condition.metric} in both runs"
        )
    for change in about:
        subject = f"{change.name}: {change.what}"
        if change.new is None or change.difference is None:
            lines.append(f"{subject}: not measured any more")
        elif change.ratio is not None:
            if condition.holds_for(change.ratio):
                lines.append(f"{subject}: {change.ratio.median:.3f}x")
        elif condition.holds(round(change.difference, 9)):
            lines.append(f"{subject}: {change.difference:+.4g}")
    return lines
