"""Numbers for people: three significant digits, and an empty text where there is no number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanbert_bench.statistics import Estimate


NO_DIFFERENCE = "no significant difference"


def number(value: float | None, digits: int = 3) -> str:
    """Write ``5.432`` as ``5.43``, ``154.2`` as ``154``, ``1127.3`` as ``1,127``; ``None`` as "".

    Args:
        value: any finite number; an ``int`` is a count and stays whole.
        digits: how many digits are significant; digits before the point are never cut.
    """
    if value is None:
        return ""
    if isinstance(value, int) or value == 0:
        return f"{value:,.0f}"
    # Rounded first: 9.996 has one digit before the point but becomes 10.0.
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{decimals}f}"


def fixed(value: float | None, decimals: int) -> str:
    """Write a number with so many decimals."""
    return f"{value:,.{decimals}f}" if value is not None else ""


def tiny(value: float | None) -> str:
    """Write a difference of probabilities: four decimals, or a power of ten if they are 0."""
    if value is None:
        return ""
    return "0" if value == 0 else f"{value:.1e}" if abs(value) < 5e-4 else f"{value:.4f}"


def percent(value: float | None, decimals: int = 1) -> str:
    """Write a share of 1 as per cent."""
    return f"{100 * value:.{decimals}f}%" if value is not None else ""


def rough_percent(value: float | None) -> str:
    """Write whole per cents, but two digits below ten: ``34%``, ``2.1%``, ``0.15%``."""
    if value is None or value >= 0.1:
        return percent(value, 0)
    return f"{number(100 * value, 2)}%"


def interval(value: Estimate | None) -> str:
    """Write ``5.43 [5.39, 5.51]``, or the median alone where one turn has no interval."""
    if value is None:
        return ""
    if not value.certain:
        return number(value.median)
    return f"{number(value.median)} [{number(value.low)}, {number(value.high)}]"


def ratio(value: Estimate | None) -> str:
    """Write ``6.54×``."""
    return f"{number(value.median)}×" if value is not None else ""


def ratio_with_interval(value: Estimate | None) -> str:
    """Write ``6.54× [6.41, 6.70]``, and say so if that is no significant difference."""
    if value is None or not value.certain:
        return ratio(value)
    text = f"{ratio(value)} [{number(value.low)}, {number(value.high)}]"
    return text if value.significant else f"{text}, {NO_DIFFERENCE}"
