"""The report's sentences: what was measured on what, what stands out, and how to repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert_bench.report.formatting import NO_DIFFERENCE, number, percent, ratio
from leanbert_bench.results.access import Entry, Results, dig, measured, name_of, reference_of
from leanbert_bench.results.limit import peak
from leanbert_bench.results.per_turn import (
    faster,
    grid_speedup,
    more,
    offline_texts_per_s,
    shapes_in,
    single_stream_ms,
)
from leanbert_bench.statistics import median

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leanbert_bench.statistics import Estimate


_SHOWN_FLIPS = 10


def title(results: Results) -> str:
    """Return the report's title, for example ``Benchmark of finbert``."""
    name = dig(results, "model", "name") or dig(results, "model", "random_weights") or "a model"
    return f"Benchmark of {' '.join(str(name).split())}"


def facts(results: Results) -> list[tuple[str, str]]:
    """Return machine, model, texts, settings and versions, each as a name and one line."""
    found = {
        "Machine": _machine(results),
        "Limit": _roof(results),
        "Model": _model(results),
        "Texts": _data(results),
        "Settings": _settings(results),
        "Versions": _pairs({"leanbert": results.get("leanbert"), **results["versions"]}),
        "Measured": _when(results),
    }
    return [(name, line) for name, line in found.items() if line]


def _join(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _pairs(values: Mapping[str, Any]) -> str:
    return _join(*(f"{name} {value}" for name, value in values.items() if value))


def _machine(results: Results) -> str:
    machine = results["machine"]
    allowed, host = machine.get("cores_allowed"), machine.get("cores_host")
    memory = machine.get("memory_bytes")
    return _join(
        str(machine.get("cpu") or "unknown CPU"),
        f"with {' '.join(machine['isa_flags'])}" if machine.get("isa_flags") else "",
        f"{allowed} of {host} cores allowed" if allowed and host else "",
        f"quota of {number(float(machine['quota']))} cores" if machine.get("quota") else "",
        f"governor {machine['governor']}" if machine.get("governor") else "governor not readable",
        f"{memory / 2**30:.1f} GiB of memory" if memory else "",
        str(machine.get("system") or ""),
        f"Python {machine['python']}" if machine.get("python") else "",
    )


def _roof(results: Results) -> str:
    peaks = (
        ("int8_gops", "GOP/s of int8 matmuls"),
        ("fp32_gflops", "GFLOP/s of fp32 matmuls"),
        ("bandwidth_gbs", "GB/s of memory reads"),
    )
    parts = [f"{number(best)} {unit}" for name, unit in peaks if (best := peak(results, name))]
    library, threads = dig(results, "roof", "library"), dig(results, "roof", "threads")
    if not parts:
        return "not measured, so no back end's share of it is shown"
    how = _join(f"by {library}" if library else "", f"on {threads} threads" if threads else "")
    isa, own = dig(results, "roof", "native_isa"), peak(results, "native_gops")
    ours = f"; {number(own)} GOP/s by LeanBERT's own kernels for {isa}" if own else ""
    return f"{_join(*parts)}{f'; measured {how}' if how else ''}{ours}"


def _model(results: Results) -> str:
    model = results["model"]
    size, digest = model.get("checkpoint_bytes"), model.get("weights_sha256")
    return _join(
        str(model.get("name") or "unnamed"),
        str(model.get("task") or ""),
        f"random weights of {model['random_weights']}'s shape (speed only)"
        if model.get("random_weights")
        else "",
        f"checkpoint of {number(size / 1e6)} MB" if size else "",
        f"weights sha256 {digest[:12]}" if digest else "",
    )


def _data(results: Results) -> str:
    data = results["data"]
    rows, middle, long = data.get("rows"), data.get("median_tokens"), data.get("p95_tokens")
    return _join(
        f"{data.get('name') or 'unnamed'}{' (LeanBERT’s own)' if data.get('bundled') else ''}",
        f"{number(rows)} texts" if rows is not None else "",
        f"{number(repeated)} of them repeated, which every back end computes again"
        if (repeated := data.get("repeated_rows"))
        else "",
        "with labels" if data.get("labels") else "without labels",
        f"median {number(middle)} and p95 {number(long)} tokens" if middle and long else "",
        f"sha256 {data['sha256'][:12]}" if data.get("sha256") else "",
    )


def _settings(results: Results) -> str:
    settings = results["settings"]
    turns, warmup = settings.get("turns"), settings.get("warmup")
    reference = reference_of(results)
    return _join(
        f"{settings['threads']} threads for each" if settings.get("threads") else "",
        f"{turns} interleaved turn{'s' if turns != 1 else ''}" if turns else "",
        f"{warmup} warm-up call{'s' if warmup != 1 else ''} discarded" if warmup else "",
        f"seed {settings['seed']}" if settings.get("seed") is not None else "",
        "quick" if settings.get("quick") else "",
        f"reference {name_of(reference)}" if reference else "no reference: it gave no result",
    )


def _when(results: Results) -> str:
    seconds, commit = results.get("seconds"), results.get("commit")
    return _join(
        str(results.get("created") or ""),
        f"in {number(seconds / 60)} minutes" if seconds else "",
        f"commit {commit[:12]}" if commit else "",
        "not complete" if results.get("complete") is False else "",
    )


def standing_out(results: Results) -> list[str]:
    """Name the fastest in each scenario, with those that are not significantly slower."""
    reference = reference_of(results)
    ways: tuple[tuple[str, Callable[[Entry], list[float]], bool, str], ...] = (
        ("one text at a time (SingleStream, p90)", single_stream_ms, True, "ms"),
        ("many texts (Offline)", offline_texts_per_s, False, "texts/s"),
    )
    lines = []
    for title_of, turns_of, less, unit in ways:
        field = [item for item in measured(results) if turns_of(item)]
        if len(field) < 2:
            continue
        best = min(field, key=lambda item: median(turns_of(item)) * (1 if less else -1))
        line = f"Fastest for {title_of}: {name_of(best)}, {number(median(turns_of(best)))} {unit}"
        versus = _versus(best, reference, turns_of, less)
        line += f", {ratio(versus)} {name_of(reference)}" if reference and versus else ""
        ties = [
            name_of(item)
            for item in field
            if item is not best
            and (found := _versus(best, item, turns_of, less)) is not None
            and found.certain
            and not found.significant
        ]
        lines.append(f"{line}; {NO_DIFFERENCE} to {'; '.join(ties)}." if ties else f"{line}.")
    lines += _grid(results, reference)
    return lines


def _versus(
    item: Entry, other: Entry | None, turns_of: Callable[[Entry], list[float]], less: bool
) -> Estimate | None:
    """How many times faster ``item`` is than ``other``."""
    if other is None or item is other:
        return None
    mine, theirs = turns_of(item), turns_of(other)
    if not mine or not theirs:
        return None
    return faster(mine, theirs) if less else more(mine, theirs)


def _grid(results: Results, reference: Entry | None) -> list[str]:
    if reference is None:
        return []
    whole = set(shapes_in(reference))
    field = [
        (found.median, item)
        for item in measured(results)
        if item is not reference
        and whole <= set(shapes_in(item))
        and (found := grid_speedup(item, reference)) is not None
    ]
    if not field:
        return []
    value, best = max(field, key=lambda pair: pair[0])
    return [
        f"Fastest forward pass over the whole grid: {name_of(best)}, {number(value)}× "
        f"{name_of(reference)} (geometric mean)."
    ]


LEFT_OUT = "(left out)"
"""What stands in place of a text that the run was not allowed to write."""

FLIP_COLUMNS = ("text", "reference", "answer", "difference")


def flip_row(flip: Mapping[str, Any]) -> list[str]:
    """Return the cells of one flip, under :data:`FLIP_COLUMNS`."""
    labels = [str(flip.get(key, "")) for key in ("reference", "answer")]
    return [str(flip.get("text") or LEFT_OUT), *labels, f"{flip.get('difference') or 0:.3f}"]


def flips(results: Results) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    """Return a heading and the first flipped labels of each back end that has any."""
    found = []
    for item in measured(results):
        listed = (dig(item, "accuracy", "flips") or [])[:_SHOWN_FLIPS]
        count = dig(item, "accuracy", "flips_count") or len(listed)
        if listed:
            rows = dig(item, "accuracy", "rows")
            of = f" of {number(rows)} ({percent(count / rows)})" if rows else ""
            shown = "" if len(listed) == count else f", the first {len(listed)}"
            found.append((f"{name_of(item)}: {number(count)}{of}{shown}", listed))
    return found


def repeat(results: Results) -> str:
    """Return the command line that made these results, or its usual form."""
    command = results.get("command") or "leanbert bench run --output DIR"
    return " ".join(str(command).split())
