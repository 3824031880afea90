"""JSON lines: an object per line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from leanbert.records.lines import shows_bytes, undecodable
from leanbert.records.model import Row
from leanbert.records.options import ReadOptions
from leanbert.records.table import Table

__all__ = ["json_table"]


def json_table(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Read an object per line; empty lines are skipped.

    A line that is no JSON object, or names a key twice, has a problem.
    """
    return Table(name, "jsonl", _rows(lines, name, options))


def _rows(lines: Iterator[str], name: str, options: ReadOptions) -> Iterator[Row]:
    decoder = json.JSONDecoder(
        parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_repeats
    )
    for number, line in enumerate(lines, 1):
        where = f"{name}: line {number}"
        if not line.strip():
            continue
        values, problem = None, None
        try:
            values = decoder.decode(line)
        except (ValueError, RecursionError) as error:
            problem = f"not valid JSON ({error})"
        if options.bad_rows and undecodable(line):
            problem = f"not valid {options.encoding}"
        if problem is None and not isinstance(values, dict):
            problem = f"expected a JSON object, got {type(values).__name__}"
        if problem is None:
            yield Row(values or {}, where)
        else:
            yield Row({}, where, problem, shows_bytes(line))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits} is too large")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands in it twice")
    return found
