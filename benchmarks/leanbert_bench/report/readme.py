"""The tables of README.md and of a page of the documentation, from the committed results alone.

The README shows six back ends and five figures, the page all of them. A section names its file of
results in a comment, so that a test can make it again and see a drift.
"""

from __future__ import annotations

import os
from pathlib import Path

from leanbert_bench.report.formatting import fixed, interval, number, percent, ratio, tiny
from leanbert_bench.report.markdown import escape, row, rule
from leanbert_bench.report.prose import facts
from leanbert_bench.results.access import (
    Entry,
    Results,
    dig,
    measured,
    name_of,
    reference_of,
    troubles,
)
from leanbert_bench.results.per_turn import (
    cold_start_s,
    estimated,
    faster,
    headline_accuracy,
    more,
    offline_texts_per_s,
    single_stream_ms,
)
from leanbert_bench.statistics import median

_RESULTS = "<!-- results: {} -->"


_SHORT_PEERS = (
    "transformers-pipeline",
    "pytorch-dynamic-int8",
    "optimum-int8",
    "openvino-int8",
    "ctranslate2-int8",
)
"""The peers that people use most, each once, in the README's order."""


def section(results: Results, file: str, *, short: bool = False) -> str:
    """Return what stands between the markers.

    Args:
        results: the results.
        file: the path of their file as seen from the page.
        short: whether the page is the README, which shows :func:`short_table`.
    """
    table = short_table(results) if short else readme_table(results)
    return f"{_RESULTS.format(file)}\n{table}"


def path_from(readme: Path, results: Path) -> str:
    """The path of ``results`` as seen from the page, with slashes on every system."""
    return Path(os.path.relpath(results.resolve(), readme.resolve().parent)).as_posix()


def short_table(results: Results) -> str:
    """Five peers and LeanBERT's int8 bundle with five figures each, and a sentence on the run.

    LeanBERT is the first bundle that the run was given, or the one that it made. Medians of the
    turns stand without their intervals, which the whole table has.
    """
    found = {item["id"]: item for item in measured(results)}
    own = [name for name in found if name.startswith("leanbert:")]
    names = [*_SHORT_PEERS, *(own or ["leanbert-int8-native"])[:1]]
    rows = [_short_row(found[name]) for name in names if name in found]
    settings, cpu = results["settings"], str(results["machine"].get("cpu") or "unknown CPU")
    note = (
        f"{escape(cpu)}, {settings['threads']} threads, {settings['turns']} turns. Tokenization is "
        "part of every time."
    )
    lines = [row(list(rows[0])), rule(len(rows[0]))] if rows else []
    lines += [row(list(cells.values())) for cells in rows]
    return "\n".join([*lines, *([""] if lines else []), note, ""])


def _short_row(item: Entry) -> dict[str, str]:
    single, offline = estimated(single_stream_ms(item)), estimated(offline_texts_per_s(item))
    installed = item.get("installed_bytes")
    return {
        "": name_of(item),
        "one text, ms (p90)": number(single.median) if single else "",
        "texts per second": number(offline.median) if offline else "",
        "peak memory, MiB": fixed(dig(item, "memory", "peak_rss_mib"), 0),
        "installed, MB": fixed(installed / 1e6, 0) if installed is not None else "",
        "same label as fp32": percent(dig(item, "accuracy", "agreement")),
    }


def readme_table(results: Results) -> str:
    """Every back end with every figure, and a note on the run; a column nobody fills is left out.

    Ratios are to the reference, paired by turn: above 1 is faster.
    """
    reference = reference_of(results)
    rows = [_row(item, reference) for item in measured(results)]
    titles = list(dict.fromkeys(key for cells in rows for key in cells))
    used = [key for key in titles if key == "" or any(cells.get(key) for cells in rows)]
    lines = [row(used), rule(len(used))] if used else []
    lines += [row([cells.get(key, "") for key in used]) for cells in rows]
    notes = [f"\n{escape(line)}." for line in troubles(results)]
    return "\n".join([*lines, *([""] if lines else []), _note(results), *notes, ""])


def _row(item: Entry, reference: Entry | None) -> dict[str, str]:
    single, offline = single_stream_ms(item), offline_texts_per_s(item)
    sooner = faster(single, single_stream_ms(reference)) if reference else None
    quicker = more(offline, offline_texts_per_s(reference)) if reference else None
    headline = headline_accuracy(item)
    start, size, installed = (
        cold_start_s(item),
        item.get("model_bytes"),
        item.get("installed_bytes"),
    )
    return {
        "": name_of(item),
        "one text, p90 ms": interval(estimated(single)),
        "one text ×": "1" if item is reference and single else ratio(sooner),
        "texts/s": interval(estimated(offline)),
        "texts/s ×": "1" if item is reference and offline else ratio(quicker),
        "cold start, s": number(median(start)) if start else "",
        "peak RSS, MiB": fixed(dig(item, "memory", "peak_rss_mib"), 0),
        "installed, MB": fixed(installed / 1e6, 0) if installed is not None else "",
        "model, MB": fixed(size / 1e6, 1) if size is not None else "",
        "same label": percent(dig(item, "accuracy", "agreement")),
        "mean diff.": tiny(dig(item, "accuracy", "mean_difference")),
        (headline[0] if headline else "accuracy"): percent(headline[1]) if headline else "",
        "change with the batch": tiny(dig(item, "batch_invariance", "largest")),
    }


def _note(results: Results) -> str:
    found = dict(facts(results))
    reference = reference_of(results)
    parts = [
        f"{escape(found[name])}."
        for name in ("Machine", "Settings", "Model", "Texts")
        if name in found
    ]
    against = f" against {escape(name_of(reference))}" if reference else ""
    return " ".join(
        [
            *parts,
            "Median of the turns [bootstrap 95% interval], tokenization included; ×, same label "
            f"and difference of probability{against}, ratios paired by turn. One text: MLPerf's "
            "SingleStream; texts/s: its Offline, shuffled. Cold start: process start to first "
            "answer. Peak RSS: of the whole process. Installed: with all dependencies. Change with "
            "the batch: the largest change of any text's scores in batches of 32.",
            f"Versions: {escape(found['Versions'])}." if "Versions" in found else "",
        ]
    ).rstrip()
