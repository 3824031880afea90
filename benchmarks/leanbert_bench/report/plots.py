"""The report's plots: latency, throughput against accuracy, memory and cold start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leanbert.errors import MissingExtraError
from leanbert_bench.report.drawing import (
    STYLE,
    Key,
    Plot,
    bars,
    colour,
    count,
    dash_pattern,
    finished,
    markers_of,
    new_axes,
    plain_log_ticks,
)
from leanbert_bench.report.svg import COLOURS
from leanbert_bench.results.access import (
    Entry,
    Results,
    dig,
    measured,
    name_of,
    parse_shape,
    reference_of,
)
from leanbert_bench.results.limit import limit_ms
from leanbert_bench.results.per_turn import (
    cold_start_s,
    forward_ms,
    headline_accuracy,
    offline_texts_per_s,
    rss_mib_after,
    shapes_in,
)
from leanbert_bench.statistics import estimate, median

_LIMITS = {"int8": "1 1.2", "fp32": "6 2 1 2"}
"""The dashes of the limit's lines, in line widths."""


def plots(results: Results) -> list[Plot]:
    """Draw those plots for which there are numbers.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError(
            "report.html needs matplotlib; install with: pip install 'leanbert[bench]'"
        ) from error
    with mpl.rc_context(STYLE):
        return [
            *_latency(results), *_throughput(results), *_memory(results), *_start(results),
        ]  # fmt: skip


def _latency(results: Results) -> Iterator[Plot]:
    """One plot per batch size that has two lengths or more."""
    lengths: dict[int, set[int]] = {}
    for item in measured(results):
        for shape in shapes_in(item):
            batch, length = parse_shape(shape)
            lengths.setdefault(batch, set()).add(length)
    for batch in sorted(lengths):
        if len(lengths[batch]) > 1:
            yield _latency_at(results, batch, sorted(lengths[batch]))


def _latency_at(results: Results, batch: int, lengths: Sequence[int]) -> Plot:
    canvas, axes = new_axes(4.4)
    drawn = [item for item in measured(results) if _line(item, batch, lengths)]
    markers, legend, lowest = markers_of(drawn), [], []
    for item in drawn:
        points = _line(item, batch, lengths)
        lean = item.get("family") == "leanbert"
        axes.plot(
            *zip(*points, strict=True), color=colour(item), marker=markers[item["id"]],
            markersize=6 if lean else 4.5, linewidth=2.4 if lean else 1.3,
            linestyle="-" if item.get("precision") == "int8" else dash_pattern("4 2"),
            gid=f"line-{item['id']}", zorder=3 if lean else 2,
        )  # fmt: skip
        dashes = "" if item.get("precision") == "int8" else "4 2"
        legend.append(Key(name_of(item), colour(item), markers[item["id"]], dashes))
        lowest.append((points[-1][1], name_of(item)))
    limits = []
    for precision in _LIMITS:
        points = [
            (length, limit)
            for length in lengths
            if (limit := limit_ms(results, f"{batch}x{length}", precision)) is not None
        ]
        if len(points) > 1:
            axes.plot(
                *zip(*points, strict=True), color=COLOURS["text"], linewidth=1.6,
                linestyle=dash_pattern(_LIMITS[precision]), gid=f"limit-{precision}", zorder=1,
            )  # fmt: skip
            legend.append(
                Key(f"machine's limit, {precision}", COLOURS["text"], dashes=_LIMITS[precision])
            )
            limits.append(precision)
    axes.set(
        xscale="log", yscale="log", xlabel="sequence length, tokens", ylabel="forward pass, ms"
    )
    axes.set_xticks(list(lengths), [str(length) for length in lengths])
    axes.minorticks_off()
    plain_log_ticks(axes.yaxis)
    best = min(lowest)
    text = (
        f"Milliseconds of a forward pass by sequence length at batch size {batch}, both axes "
        f"logarithmic, {count(drawn)}. At {lengths[-1]} tokens the fastest is {best[1]} "
        f"with {best[0]:.3g} ms."
    )
    text += (
        f" The machine's measured limit is drawn for {' and '.join(limits)}."
        if limits
        else " The machine's limit was not measured."
    )
    return finished(
        canvas, f"latency-{batch}", f"Latency by length, batch size {batch}", text, legend
    )


def _line(item: Entry, batch: int, lengths: Sequence[int]) -> list[tuple[int, float]]:
    found = ((length, forward_ms(item, f"{batch}x{length}")) for length in lengths)
    return [(length, median(turns)) for length, turns in found if turns]


def _throughput(results: Results) -> Iterator[Plot]:
    """Texts per second against accuracy, or without labels against the reference's labels."""
    with_rate = [item for item in measured(results) if offline_texts_per_s(item)]
    right = {item["id"]: headline_accuracy(item) for item in with_rate}
    title_of = next((found[0] for found in right.values() if found), None)
    if title_of is not None:
        heights = {name: found[1] for name, found in right.items() if found}
    else:
        heights = {
            item["id"]: float(agreement)
            for item in with_rate
            if (agreement := dig(item, "accuracy", "agreement")) is not None
        }
    drawn = [item for item in with_rate if item["id"] in heights]
    if not drawn:
        return
    what = title_of or "same label as the reference"
    unit = 1.0 if what == "Spearman" else 100.0
    canvas, axes = new_axes(4.0)
    markers = markers_of(drawn)
    for item in drawn:
        rate = estimate(offline_texts_per_s(item))
        lean = item.get("family") == "leanbert"
        drawing = axes.errorbar(
            rate.median, unit * heights[item["id"]],
            xerr=[[rate.median - rate.low], [rate.high - rate.median]], fmt=markers[item["id"]],
            color=colour(item), markersize=9 if lean else 7, elinewidth=1.2,
            markerfacecolor=colour(item) if item.get("precision") == "int8" else "none",
            markeredgewidth=1.6,
        )  # fmt: skip
        drawing.lines[0].set_gid(f"point-{item['id']}")
    axes.set(xscale="log", xlabel="texts per second (Offline)")
    axes.set_ylabel(what if unit == 1 else f"{what}, %")
    axes.margins(x=0.08, y=0.15)
    plain_log_ticks(axes.xaxis)
    reference = reference_of(results)
    if reference is not None and reference["id"] in heights:
        axes.axhline(
            unit * heights[reference["id"]], color=COLOURS["muted"], linewidth=1, zorder=0,
            linestyle=(0, (2, 2)),
        )  # fmt: skip
    best = max(drawn, key=lambda item: median(offline_texts_per_s(item)))
    yield finished(
        canvas,
        "throughput",
        f"Throughput against {'accuracy' if title_of else 'agreement'}",
        f"Texts per second, logarithmic, against {what}, for {count(drawn)}; right and up is "
        f"better. The fastest is {name_of(best)} with "
        f"{median(offline_texts_per_s(best)):.3g} texts per second at "
        f"{unit * heights[best['id']]:.4g}{'' if unit == 1 else '%'}.",
        [
            Key(
                name_of(item),
                colour(item),
                markers[item["id"]],
                "none",
                filled=item.get("precision") == "int8",
            )
            for item in drawn
        ],
    )


def _memory(results: Results) -> Iterator[Plot]:
    peaks = {
        item["id"]: float(mib)
        for item in measured(results)
        if (mib := dig(item, "memory", "peak_rss_mib")) is not None
    }
    counts = {texts for item in measured(results) for texts in rss_mib_after(item)}
    most = max(counts, default=0)
    later = {
        item["id"]: rss_mib_after(item)[most]
        for item in measured(results)
        if most in rss_mib_after(item)
    }
    drawn = [item for item in measured(results) if item["id"] in peaks]
    if not drawn:
        return
    canvas, axes = bars(drawn, [peaks[item["id"]] for item in drawn], "{:,.0f}")
    marked = [(later[item["id"]], i) for i, item in enumerate(drawn) if item["id"] in later]
    if marked:
        axes.plot(
            *zip(*marked, strict=True), linestyle="none", marker="|", markersize=13,
            markeredgewidth=2.4, color=COLOURS["text"], gid="later",
        )  # fmt: skip
    axes.set_xlabel("resident memory, MiB")
    axes.set_xlim(0, 1.18 * max([*peaks.values(), *later.values()]))
    least = min(drawn, key=lambda item: peaks[item["id"]])
    yield finished(
        canvas,
        "memory",
        "Memory",
        f"Peak resident memory of {count(drawn)}, in MiB; the least is {name_of(least)} "
        f"with {peaks[least['id']]:,.0f} MiB."
        + (f" The strokes are the memory after {most:,} texts of mixed lengths." if marked else ""),
    )


def _start(results: Results) -> Iterator[Plot]:
    drawn = [item for item in measured(results) if cold_start_s(item)]
    if not drawn:
        return
    middles = [median(cold_start_s(item)) for item in drawn]
    canvas, axes = bars(drawn, middles, "{:.2f}")
    samples = [(value, i) for i, item in enumerate(drawn) for value in cold_start_s(item)]
    axes.plot(
        *zip(*samples, strict=True), linestyle="none", marker="o", markersize=3,
        color=COLOURS["text"], gid="starts",
    )  # fmt: skip
    axes.set_xlabel("process start to first answer, s")
    axes.set_xlim(0, 1.18 * max(value for value, _ in samples))
    first = min(range(len(drawn)), key=middles.__getitem__)
    yield finished(
        canvas,
        "cold-start",
        "Cold start",
        f"Seconds from process start to the first answer of {count(drawn)}: the median of "
        f"the starts as a bar, each start as a dot. The soonest is {name_of(drawn[first])} with "
        f"{middles[first]:.2f} s.",
    )
