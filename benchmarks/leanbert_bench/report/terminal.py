"""The results as plain text of 80 to 120 columns, during a run and at its end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from leanbert_bench.report.formatting import fixed, number, percent, ratio, rough_percent
from leanbert_bench.report.noise import all_warnings
from leanbert_bench.report.prose import standing_out
from leanbert_bench.results.access import (
    Entry,
    Results,
    dig,
    measured,
    name_of,
    reference_of,
    shapes_of,
    troubles,
)
from leanbert_bench.results.limit import share
from leanbert_bench.results.per_turn import (
    cold_start_s,
    faster,
    forward_ms,
    headline_accuracy,
    more,
    offline_texts_per_s,
    single_stream_ms,
)
from leanbert_bench.statistics import median

_NARROWEST, _WIDEST = 80, 120
_NAME = 33
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    head: tuple[str, str]
    """Two lines."""
    cell: Callable[[Entry], str]


def terminal_table(results: Results, width: int | None = None) -> str:
    """Return tables of what there is: end to end, forward passes, share of the machine's limit.

    They have no colours and no control characters, so a pipe gets the same text.

    Args:
        results: the results, complete or not.
        width: the columns to fill, by default the terminal's. At least 80 and at most 120 are
            used; a table that is wider goes on below.
    """
    columns = shutil.get_terminal_size((_WIDEST, 0)).columns if width is None else width
    width = min(max(columns, _NARROWEST), _WIDEST)
    rows = measured(results)
    blocks = [
        *_table("end to end", rows, _end_to_end(results), width),
        *_table("forward pass, ms", rows, _grid(results), width),
        *_table("share of the limit", rows, _limits(results), width),
    ]
    for heading, lines in (
        ("", standing_out(results)),
        ("without a result", troubles(results)),
        ("warnings", all_warnings(results)),
    ):
        if lines:
            listed = [piece for line in lines for piece in _wrapped(line, width)]
            blocks.append("\n".join([heading, *listed] if heading else listed))
    return "\n\n".join(blocks) + "\n" if blocks else "nothing was measured yet\n"


def _end_to_end(results: Results) -> list[_Column]:
    reference = reference_of(results)

    def sooner(item: Entry) -> str:
        if reference is None:
            return ""
        return ratio(faster(single_stream_ms(item), single_stream_ms(reference)))

    def quicker(item: Entry) -> str:
        if reference is None:
            return ""
        return ratio(more(offline_texts_per_s(item), offline_texts_per_s(reference)))

    def accuracy(item: Entry) -> str:
        found = headline_accuracy(item)
        return percent(found[1]) if found else ""

    def megabytes(item: Entry) -> str:
        size = item.get("model_bytes")
        return fixed(size / 1e6, 0) if size is not None else ""

    return [
        _Column(("1 text", "p90 ms"), lambda item: _middle(single_stream_ms(item))),
        _Column(("", "×"), sooner),
        _Column(("", "texts/s"), lambda item: _middle(offline_texts_per_s(item))),
        _Column(("", "×"), quicker),
        _Column(("start", "s"), lambda item: _middle(cold_start_s(item))),
        _Column(("peak", "MiB"), lambda item: fixed(dig(item, "memory", "peak_rss_mib"), 0)),
        _Column(("model", "MB"), megabytes),
        _Column(("same", "label"), lambda item: percent(dig(item, "accuracy", "agreement"))),
        _Column(("accu-", "racy"), accuracy),
        _Column(("batch", "change"), _change),
    ]


def _change(item: Entry) -> str:
    found = dig(item, "batch_invariance", "largest")
    return "" if found is None else "0" if found == 0 else f"{found:.0e}"


def _grid(results: Results) -> list[_Column]:
    def at(shape: str) -> _Column:
        return _Column(("", shape), lambda item: _middle(forward_ms(item, shape)))

    return [at(shape) for shape in shapes_of(results)]


def _limits(results: Results) -> list[_Column]:
    def at(shape: str) -> _Column:
        return _Column(("", shape), lambda item: rough_percent(share(results, item, shape)))

    return [at(shape) for shape in shapes_of(results)]


def _middle(turns: Sequence[float]) -> str:
    return number(median(turns)) if turns else ""


def _table(
    title: str, rows: Sequence[Entry], columns: Sequence[_Column], width: int
) -> Iterator[str]:
    """Blocks of at most ``width`` columns, without rows and columns that nobody fills."""
    filled = [(column.head, [column.cell(item) for item in rows]) for column in columns]
    filled = [(head, cells) for head, cells in filled if any(cells)]
    used = [i for i in range(len(rows)) if any(cells[i] for _, cells in filled)]
    names = [_shortened(name_of(rows[i])) for i in used]
    left = max(map(len, [title, *names]))
    texts = [[*head, *(cells[i] or "–" for i in used)] for head, cells in filled]
    while texts:
        block: list[list[str]] = []
        taken = left
        while texts and (not block or taken + len(_GAP) + _widest(texts[0]) <= width):
            taken += len(_GAP) + _widest(texts[0])
            block.append(texts.pop(0))
        lines = [
            _GAP.join([name.ljust(left), *(text[i].rjust(_widest(text)) for text in block)])
            for i, name in enumerate(["", title, *names])
        ]
        yield "\n".join(line.rstrip() for line in lines if line.strip())


def _widest(cells: Sequence[str]) -> int:
    return max(map(len, cells))


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Break a line between words only, so that a pip command can be copied."""
    taken = ""
    for word in line.split():
        if taken and len(taken) + 1 + len(word) > width:
            yield taken
            taken = f"    {word}"
        else:
            taken = f"{taken} {word}" if taken else f"  {word}"
    if taken:
        yield taken
