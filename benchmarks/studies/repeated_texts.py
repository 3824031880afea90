"""Texts per second where texts repeat, and for windows of several sizes, in throughput mode.

Both questions are asked of the embedded model, the arrangements taking turns in one process:
what computing repeated texts once is worth when 30% of a stream are repeats, and how many texts
should be ordered by length together. Texts are shuffled once with a fixed seed.

examples:
  python -m studies.repeated_texts --texts news.csv --text-column headline
  python -m studies.repeated_texts --turns 7 -o benchmarks/results/repeated-texts.json
  python -m studies.repeated_texts --table benchmarks/results/repeated-texts.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from leanbert import __version__, pipeline
from leanbert.cpu import allowed_cores, cpu_name
from leanbert.errors import InputError
from leanbert.records import ReadOptions, open_table
from leanbert_bench.report.formatting import ratio_with_interval
from leanbert_bench.run.workload import mixed_texts
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import Json, measure_or_show, new_parser

WINDOWS = (512, 2048, 8192)
REPEATED = 0.3
_SEED = 20


def read_texts(path: Path | None, column: str) -> tuple[str, list[str]]:
    """The name of the texts and the texts, each once; ``None`` for texts that are made.

    Raises:
        InputError: the file cannot be read, or it has too few texts.
    """
    if path is None:
        return "made texts of 3 to 400 words", list(dict.fromkeys(mixed_texts(0, 4000)))
    with open_table(path, ReadOptions()) as table:
        used = "text" if table.lines else column
        table.require(used, "--text-column")
        found = list(dict.fromkeys(row.text(used) for row in table.rows))
    if len(found) < 100:
        raise InputError(f"{path}: {len(found)} different texts; at least 100 are needed")
    return path.name, found


def with_repeats(texts: Sequence[str], share: float) -> list[str]:
    """As many texts, of which ``share`` repeat another, in a random order."""
    draw = np.random.default_rng(_SEED)
    different = round(len(texts) * (1 - share))
    again = draw.integers(0, different, len(texts) - different)
    order = draw.permutation([*range(different), *again.tolist()])
    return [texts[i] for i in order]


def measure(texts: Sequence[str], name: str, turns: int) -> Json:
    """Time every arrangement once per turn."""
    classify = pipeline("text-classification", mode="throughput")
    shuffled = [texts[i] for i in np.random.default_rng(_SEED).permutation(len(texts))]
    repeated = with_repeats(texts, REPEATED)

    def window(size: int) -> Callable[[], object]:
        def run() -> object:
            with mock.patch.object(classify, "_group", lambda _: size):
                return classify(shuffled, deduplicate=False)

        return run

    runs: dict[str, Callable[[], object]] = {
        "30% repeats, each computed": lambda: classify(repeated, deduplicate=False),
        "30% repeats, computed once": lambda: classify(repeated),
        "no repeats, not looked for": lambda: classify(shuffled, deduplicate=False),
        "no repeats, looked for": lambda: classify(shuffled),
        **{f"windows of {size}": window(size) for size in WINDOWS},
    }
    rates: dict[str, list[float]] = {arrangement: [] for arrangement in runs}
    classify(shuffled[:500])
    for turn in range(turns):
        for arrangement, run in runs.items():
            sys.stderr.write(f"turn {turn + 1}: {arrangement}\n")
            start = time.perf_counter()
            run()
            rates[arrangement].append(len(shuffled) / (time.perf_counter() - start))
    return {
        "leanbert": __version__,
        "cpu": cpu_name(),
        "threads": allowed_cores(),
        "texts": {"name": name, "count": len(shuffled)},
        "texts_per_s": rates,
    }


def table(results: Json) -> str:
    """The results in Markdown."""
    rates = results["texts_per_s"]
    against = {
        "30% repeats, computed once": "30% repeats, each computed",
        "no repeats, looked for": "no repeats, not looked for",
        **{f"windows of {size}": f"windows of {WINDOWS[1]}" for size in WINDOWS},
    }
    lines = ["| arrangement | texts per second | ratio [95%] |", "| --- | --- | --- |"]
    for name, turns in rates.items():
        other = against.get(name)
        ratio = (
            "" if other in (None, name) else ratio_with_interval(paired_ratio(turns, rates[other]))
        )
        lines.append(f"| {name} | {median(turns):,.0f} | {ratio} |")
    texts = results["texts"]
    about = (
        f"LeanBERT {results['leanbert']}, embedded model, {results['cpu']}, {results['threads']} "
        f"threads, {texts['count']:,} texts of {texts['name']}, "
        f"{len(next(iter(rates.values())))} turns. Ratios are to the line above, those of windows "
        f"to {WINDOWS[1]:,}."
    )
    return "\n".join([*lines, "", about])


def main(words: Sequence[str] | None = None) -> int:
    """Measure, or show earlier results; returns the exit code."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--texts", type=Path, metavar="FILE", help="default: made texts")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="of the texts")
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="default: %(default)s")
    args = parser.parse_args(words)

    def measured() -> Json:
        if args.turns < 1:
            raise InputError(f"--turns is {args.turns}; give a number from 1")
        name, texts = read_texts(args.texts, args.text_column)
        return measure(texts, name, args.turns)

    return measure_or_show("repeated_texts", args, measured, table)


if __name__ == "__main__":
    sys.exit(main())
