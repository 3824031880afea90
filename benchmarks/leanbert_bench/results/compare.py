"""What changed between two runs, for each back end and metric, and whether it is more than noise.

Changes are paired by back end, scenario and shape. The turns of two runs cannot be paired, so each
run's turns are resampled by themselves. The turns of one run share what the machine did, so
``relative`` divides them by the reference's same turns before it compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanbert.errors import InputError
from leanbert_bench.results.access import (
    Entry,
    Results,
    backend_of,
    dig,
    measured,
    name_of,
    reference_of,
)
from leanbert_bench.results.per_turn import (
    cold_start_s,
    grid_ms,
    headline_accuracy,
    multi_stream_ms,
    offline_texts_per_s,
    rss_mib_after,
    server_qps,
    shapes_in,
    single_stream_ms,
)
from leanbert_bench.statistics import Estimate, independent_ratio, median, paired_ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_AGREEMENT = "same label as the reference"


@dataclass(frozen=True)
class Change:
    """One figure of one back end, before and after."""

    backend: str
    """Its id."""
    name: str
    metric: str
    """The name that conditions use; empty for what no condition is about."""
    what: str
    """The scenario and statistic, or what else distinguishes it among those of the metric."""
    unit: str
    old: float
    new: float | None
    """``None`` if the new run does not have it any more."""
    better: int
    """1 if more is better, -1 if less is."""
    ratio: Estimate | None = None
    """New over old; ``None`` where the difference is what counts."""
    texts: int | None = None
    """The number of texts that a percentage refers to."""

    @property
    def difference(self) -> float | None:
        """The new value less the old one."""
        return None if self.new is None else self.new - self.old

    @property
    def verdict(self) -> str:
        """What the change means, in words."""
        if self.new is None:
            return "gone"
        if self.ratio is None:
            change = round(self.new - self.old, 9)
            return "same" if change == 0 else "better" if change * self.better > 0 else "worse"
        if self.ratio.certain and not self.ratio.significant:
            return "no significant difference"
        if self.ratio.median == 1:
            return "same"
        word = "better" if (self.ratio.median > 1) == (self.better > 0) else "worse"
        return word if self.ratio.certain else f"{word}, one value each"


@dataclass(frozen=True)
class Comparison:
    """All changes, and who cannot be compared."""

    changes: tuple[Change, ...]
    lost: tuple[tuple[str, str], ...]
    """Name and reason of each back end that the old run measured and the new one did not."""
    added: tuple[str, ...]
    """The names of those that only the new run measured."""


@dataclass(frozen=True)
class _Figure:
    metric: str
    what: str
    unit: str
    better: int
    turns: Callable[[Entry], Sequence[float]]
    timed: bool = True
    """Whether it depends on the machine's speed, so that ``relative`` divides by the reference."""


def _one(*keys: str, scale: float = 1.0) -> Callable[[Entry], Sequence[float]]:
    def get(item: Entry) -> Sequence[float]:
        value = dig(item, *keys)
        return [] if value is None else [scale * float(value)]

    return get


_RATIOS = (
    _Figure("latency", "SingleStream, p90", "ms", -1, single_stream_ms),
    _Figure("latency", "MultiStream, p99", "ms", -1, multi_stream_ms),
    _Figure("throughput", "Offline", "texts/s", 1, offline_texts_per_s),
    _Figure("throughput", "Server", "queries/s", 1, server_qps),
    _Figure("cold_start", "process start to first answer", "s", -1, cold_start_s),
    _Figure("rss", "peak", "MiB", -1, _one("memory", "peak_rss_mib"), timed=False),
    _Figure("", "model", "MB", -1, _one("model_bytes", scale=1e-6), timed=False),
    _Figure("", "installed", "MB", -1, _one("installed_bytes", scale=1e-6), timed=False),
)


def compare(
    old: Results, new: Results, *, backends: Sequence[str] = (), relative: bool = False
) -> Comparison:
    """Compare what both runs measured.

    Args:
        old: the results before.
        new: the results after.
        backends: ids to restrict it to; by default all that ``old`` measured.
        relative: divide what depends on the machine's speed by the reference of its own run
            first, so that a faster or slower machine cancels out.

    Raises:
        InputError: an id is unknown to ``old``, nothing can be compared, or ``relative`` lacks a
            reference.
    """
    before = {item["id"]: item for item in measured(old)}
    after = {item["id"]: item for item in measured(new)}
    for identifier in backends:
        if identifier not in before:
            raise InputError(
                f"--backend {identifier}: the old run has no result of it; it has "
                f"{', '.join(before) or 'none at all'}"
            )
    chosen = [name for name in before if name in backends or not backends]
    references = (reference_of(old), reference_of(new)) if relative else None
    if references is not None:
        if None in references:
            raise InputError("--relative: one of the runs has no result of its reference")
        if references[0]["id"] != references[1]["id"]:  # type: ignore[index]
            raise InputError("--relative: the runs have different references")
        chosen = [name for name in chosen if name != references[0]["id"]]  # type: ignore[index]
    if not chosen:
        raise InputError("the old run has no result to compare with")
    changes: list[Change] = []
    for name in chosen:
        if name in after:
            changes += _changes(before[name], after[name], references)
    lost = [(name_of(before[name]), _reason(new, name)) for name in chosen if name not in after]
    added = [name_of(after[name]) for name in after if name not in before and not backends]
    return Comparison(tuple(changes), tuple(lost), tuple(added))


def _reason(new: Results, identifier: str) -> str:
    there = backend_of(new, identifier)
    if there is None:
        return "not part of the new run"
    why = f": {there['reason']}" if there.get("reason") else ""
    return f"{there['status'].replace('_', ' ')}{why}"


def _changes(
    old: Entry, new: Entry, references: tuple[Entry | None, Entry | None] | None
) -> Iterator[Change]:
    shapes = [shape for shape in shapes_in(old) if shape in shapes_in(new)]
    # A shape that is gone is seen as a grid that is gone, not as a mean of fewer shapes.
    common = shapes if shapes or not shapes_in(old) else shapes_in(old)
    grid = _Figure(
        "latency", f"forward pass, geometric mean of {len(common)} shapes", "ms", -1,
        lambda item: grid_ms(item, common),
    )  # fmt: skip
    counts = rss_mib_after(old).keys() & rss_mib_after(new).keys() or rss_mib_after(old).keys()
    texts = max(counts, default=0)
    later = _Figure(
        "rss", f"after {texts:,} texts", "MiB", -1,
        lambda item: [rss_mib_after(item)[texts]] if texts in rss_mib_after(item) else [],
        timed=False,
    )  # fmt: skip
    for figure in (grid, *_RATIOS, later):
        yield from _ratio(figure, old, new, references)
    yield from _differences(old, new)


def _ratio(
    figure: _Figure, old: Entry, new: Entry, references: tuple[Entry | None, Entry | None] | None
) -> Iterator[Change]:
    before, after = list(figure.turns(old)), list(figure.turns(new))
    unit = figure.unit
    if references is not None and figure.timed:
        bases = [list(figure.turns(reference or {})) for reference in references]
        if not all(base and min(base) > 0 for base in bases):
            return  # a reference that held no rate at all is no measure
        before, after = _over(before, bases[0]), _over(after, bases[1])
        unit = "× reference"
    if not before:
        return
    about = (old["id"], name_of(old), figure.metric, figure.what, unit)
    if not after:
        yield Change(*about, median(before), None, figure.better)
    elif min(before) > 0:
        ratio = independent_ratio(after, before)
        yield Change(*about, median(before), median(after), figure.better, ratio)


def _over(turns: Sequence[float], reference: Sequence[float]) -> list[float]:
    both = min(len(turns), len(reference))
    return paired_ratios(turns[:both], reference[:both])


def _differences(old: Entry, new: Entry) -> Iterator[Change]:
    """Changes of what has no noise, because the same texts give the same value."""
    headline = headline_accuracy(old)
    rows: list[tuple[str, str, str, int, float | None, float | None]] = []
    if headline is not None:
        later = headline_accuracy(new)
        same = later is not None and later[0] == headline[0]
        rows.append((
            "accuracy", headline[0], "%", 1, 100 * headline[1],
            100 * later[1] if later is not None and same else None,
        ))  # fmt: skip
    for metric, what, unit, better, keys, scale in (
        ("agreement", _AGREEMENT, "%", 1, ("accuracy", "agreement"), 100.0),
        ("flips", "flipped labels", "texts", -1, ("accuracy", "flips_count"), 1.0),
        ("", "change with the batch", "", -1, ("batch_invariance", "largest"), 1.0),
    ):
        get = _one(*keys, scale=scale)
        before, after = get(old), get(new)
        rows.append((
            metric, what, unit, better, before[0] if before else None, after[0] if after else None
        ))  # fmt: skip
    texts = dig(old, "accuracy", "rows")
    for metric, what, unit, better, value, later_value in rows:
        if value is not None:
            counted = texts if what in ("accuracy", _AGREEMENT) else None
            yield Change(
                old["id"], name_of(old), metric, what, unit, value, later_value, better,
                texts=counted if counted == dig(new, "accuracy", "rows") else None,
            )  # fmt: skip


def differences(old: Results, new: Results) -> dict[str, str]:
    """Say in words what else differs between the runs: machine, model, texts, settings."""
    watched = {
        "texts": ("data", "sha256"),
        "model": ("model", "weights_sha256"),
        "task": ("model", "task"),
        "threads": ("settings", "threads"),
        "CPU": ("machine", "cpu"),
        "cores allowed": ("machine", "cores_allowed"),
        "quick": ("settings", "quick"),
        "turns": ("settings", "turns"),
        "grid": ("settings", "grid"),
    }
    found = {}
    for name, keys in watched.items():
        before, after = dig(old, *keys), dig(new, *keys)
        if before != after:
            shown = [
                str(value)[:12] if keys[-1].endswith("sha256") else str(value)
                for value in (before, after)
            ]
            found[name] = f"{shown[0]} → {shown[1]}"
    versions = dict(old["versions"]), dict(new["versions"])
    for package in sorted(versions[0].keys() | versions[1].keys()):
        before, after = (side.get(package, "absent") for side in versions)
        if before != after:
            found[package] = f"{before} → {after}"
    return found
