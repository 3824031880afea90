"""The report's tables as texts in cells, for Markdown and HTML alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanbert_bench.report.formatting import (
    fixed,
    interval,
    number,
    percent,
    ratio,
    ratio_with_interval,
    rough_percent,
    tiny,
)
from leanbert_bench.results.access import (
    Entry,
    Results,
    dig,
    first_value,
    measured,
    name_of,
    reference_of,
    shapes_of,
)
from leanbert_bench.results.limit import share
from leanbert_bench.results.per_turn import (
    cold_start_s,
    estimated,
    faster,
    forward_ms,
    grid_speedup,
    more,
    multi_stream_ms,
    offline_texts_per_s,
    rss_mib_after,
    server_qps,
    shapes_in,
    single_stream_ms,
)
from leanbert_bench.statistics import median

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leanbert_bench.statistics import Estimate


@dataclass(frozen=True)
class Table:
    """One table, whose first column holds names and whose others hold figures."""

    name: str
    """Its name in links, in lower case without spaces."""
    title: str
    note: str
    """How to read it, in a sentence or two."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """One cell per column in each row; what is empty was not measured."""


def all_tables(results: Results) -> list[Table]:
    """Return the tables that have anything to show."""
    made = (_latency, _scenarios, _accuracy, _weight, _settings)
    return [table for make in made if (table := make(results)).rows]


def _table(
    results: Results,
    name: str,
    title: str,
    note: str,
    columns: Mapping[str, Callable[[Entry], str]],
) -> Table:
    """Make one row per back end; rows and columns that nobody fills are left out."""
    rows = [(name_of(item), *(get(item) for get in columns.values())) for item in measured(results)]
    rows = [row for row in rows if any(row[1:])]
    used = [i for i in range(1, 1 + len(columns)) if any(row[i] for row in rows)]
    titles = ("", *columns)
    return Table(
        name, title, note, tuple(titles[i] for i in (0, *used)),
        tuple(tuple(row[i] for i in (0, *used)) for row in rows),
    )  # fmt: skip


def _latency(results: Results) -> Table:
    reference = reference_of(results)

    def speedup(item: Entry) -> str:
        if reference is None or not shapes_in(item):
            return ""
        if item is reference:
            return "reference"
        return ratio_with_interval(grid_speedup(item, reference))

    def at(shape: str) -> Callable[[Entry], str]:
        return lambda item: _latency_cell(results, item, shape, reference)

    versus = f"× {name_of(reference)}" if reference else "×"
    return _table(
        results,
        "latency",
        "Latency of a forward pass, ms",
        "Token ids in, outputs out, by batch size x sequence length: median over the turns · times "
        "as fast as the reference · share of this machine's measured limit for that shape. The "
        "first column is the geometric mean over the shapes, paired by turn, with its 95% "
        "interval.",
        {versus: speedup, **{shape: at(shape) for shape in shapes_of(results)}},
    )


def _latency_cell(results: Results, item: Entry, shape: str, reference: Entry | None) -> str:
    turns = forward_ms(item, shape)
    if not turns:
        return ""
    cell = [number(median(turns))]
    if reference is not None and item is not reference:
        cell.append(ratio(faster(turns, forward_ms(reference, shape))))
    of_limit = share(results, item, shape)
    if of_limit is not None:
        cell.append(rough_percent(of_limit))
    return " · ".join(filter(None, cell))


def _scenarios(results: Results) -> Table:
    reference = reference_of(results)
    query = first_value(results, "scenarios", "MultiStream", "samples_per_query") or 8
    bound = first_value(results, "scenarios", "Server", "bound_ms")

    def of_latency(turns: Callable[[Entry], list[float]]) -> Callable[[Entry], str]:
        return lambda item: _versus(item, reference, turns, faster)

    def of_rate(turns: Callable[[Entry], list[float]]) -> Callable[[Entry], str]:
        return lambda item: _versus(item, reference, turns, more)

    rate = f"Server, queries/s with p99 under {number(bound)} ms" if bound else "Server, queries/s"
    return _table(
        results,
        "scenarios",
        "End to end, in MLPerf's scenarios",
        "Texts in, answers out, tokenization included: median over the turns with its 95% "
        "interval, and times the reference, paired by turn.",
        {
            "SingleStream, p90 ms": lambda item: interval(estimated(single_stream_ms(item))),
            "SingleStream ×": of_latency(single_stream_ms),
            f"MultiStream ({query} per query), p99 ms": lambda item: interval(
                estimated(multi_stream_ms(item))
            ),
            "MultiStream ×": of_latency(multi_stream_ms),
            "Offline, texts/s": lambda item: interval(estimated(offline_texts_per_s(item))),
            "Offline ×": of_rate(offline_texts_per_s),
            "of which tokenization": _tokenization,
            rate: lambda item: interval(estimated(server_qps(item))),
        },
    )


def _versus(
    item: Entry,
    reference: Entry | None,
    turns: Callable[[Entry], list[float]],
    compared: Callable[[Sequence[float], Sequence[float]], Estimate | None],
) -> str:
    if reference is None or not turns(item):
        return ""
    if item is reference:
        return "reference"
    return ratio_with_interval(compared(turns(item), turns(reference)))


def _tokenization(item: Entry) -> str:
    """The share of tokenization in the time of Offline."""
    seconds = dig(item, "scenarios", "Offline", "tokenization_s")
    texts, rates = dig(item, "scenarios", "Offline", "texts"), offline_texts_per_s(item)
    if not seconds or not texts or not rates:
        return ""
    return percent(median(seconds) / (texts / median(rates)))


def _accuracy(results: Results) -> Table:
    def share_of(key: str) -> Callable[[Entry], str]:
        return lambda item: percent(dig(item, "accuracy", key), 2)

    def difference(key: str) -> Callable[[Entry], str]:
        return lambda item: tiny(dig(item, "accuracy", key))

    def change(key: str) -> Callable[[Entry], str]:
        return lambda item: tiny(dig(item, "batch_invariance", key))

    rows = first_value(results, "accuracy", "rows")
    counted = f"On {number(rows)} texts" if rows else "On the texts of the run"
    return _table(
        results,
        "accuracy",
        "Accuracy, agreement and batch invariance",
        f"{counted}. Same label and differences of probability are against the reference. Change "
        "with the batch: the largest change of any text's scores between batch 1 and batch 32, "
        "sorted by length or shuffled; 0 means that a text's answer never depends on its "
        "neighbours.",
        {
            "accuracy": share_of("accuracy"),
            "macro-F1": share_of("macro_f1"),
            "calibration error": lambda item: fixed(dig(item, "accuracy", "ece"), 4),
            "entity F1": share_of("entity_f1"),
            "exact match": share_of("exact_match"),
            "F1": share_of("f1"),
            "Spearman": lambda item: fixed(dig(item, "accuracy", "spearman"), 4),
            "same label": share_of("agreement"),
            "flips": lambda item: number(dig(item, "accuracy", "flips_count")),
            "mean diff.": difference("mean_difference"),
            "max diff.": difference("max_difference"),
            "change, sorted": change("sorted"),
            "change, shuffled": change("shuffled"),
            "largest change": change("largest"),
        },
    )


def _weight(results: Results) -> Table:
    def seconds(key: str) -> Callable[[Entry], str]:
        return lambda item: number(median(item[key])) if item.get(key) else ""

    def after(texts: int) -> Callable[[Entry], str]:
        return lambda item: fixed(rss_mib_after(item).get(texts), 0)

    counts = sorted({texts for item in measured(results) for texts in rss_mib_after(item)})

    def megabytes(key: str) -> Callable[[Entry], str]:
        return lambda item: number(item[key] / 1e6) if item.get(key) is not None else ""

    return _table(
        results,
        "weight",
        "Memory, sizes, start",
        "Resident memory is of the whole process. Cold start: from process start to the first "
        "answer, imports included. Installed: the package and all it depends on, on disk. "
        "Prepared: making this back end's model from the checkpoint, once.",
        {
            "peak RSS, MiB": lambda item: fixed(dig(item, "memory", "peak_rss_mib"), 0),
            **{f"after {texts:,} texts": after(texts) for texts in counts},
            "model, MB": megabytes("model_bytes"),
            "installed, MB": megabytes("installed_bytes"),
            "cold start, s": lambda item: interval(estimated(cold_start_s(item))),
            "load, s": seconds("load_s"),
            "first forward, s": seconds("first_forward_s"),
            "prepared, s": lambda item: number(item.get("prepare_s")),
        },
    )


def _settings(results: Results) -> Table:
    def pairs(key: str) -> Callable[[Entry], str]:
        return lambda item: ", ".join(f"{k} {v}" for k, v in (item.get(key) or {}).items())

    def bundle(item: Entry) -> str:
        digest, recipe = (dig(item, "bundle", key) for key in ("manifest_sha256", "recipe"))
        return " ".join(filter(None, [recipe, f"sha256 {digest[:12]}" if digest else ""]))

    return _table(
        results,
        "settings",
        "How each back end was set",
        "The same thread budget for all, set in each engine's own way; many texts at once "
        "(Offline) in the arrangement that each one's documentation shows.",
        {
            "threads": pairs("threads_set"),
            "many texts": lambda item: str(item.get("arrangement") or ""),
            "versions": pairs("versions"),
            "bundle": bundle,
        },
    )
