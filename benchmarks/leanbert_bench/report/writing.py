"""Write the reports of a run: ``report.md`` and the self-contained ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from leanbert.cli.outputs import make_directory
from leanbert.files import whole_file
from leanbert_bench.report.markdown import escape, row, rule
from leanbert_bench.report.noise import all_warnings
from leanbert_bench.report.prose import (
    FLIP_COLUMNS,
    facts,
    flip_row,
    flips,
    repeat,
    standing_out,
    title,
)
from leanbert_bench.report.tables import all_tables
from leanbert_bench.results.access import Results, troubles


def write_reports(results: Results, output_dir: Path) -> list[Path]:
    """Write ``report.md`` and ``report.html``; each appears whole or not at all.

    Args:
        results: the results, complete or not.
        output_dir: the directory, which is made if it is missing.

    Returns:
        The files, in the order of writing.

    Raises:
        MissingExtraError: matplotlib is missing; ``report.md`` is there all the same.
        InputError: the directory is a file.
        OSError: the directory cannot be written to.
    """
    make_directory(output_dir)
    plain, page = output_dir / "report.md", output_dir / "report.html"
    with whole_file(plain) as file:
        file.write(markdown(results))
    from leanbert_bench.report.page import html

    text = html(results)
    with whole_file(page) as file:
        file.write(text)
    return [plain, page]


def markdown(results: Results) -> str:
    """Return the whole report as Markdown."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    yield f"# {escape(title(results))}"
    yield ""
    yield from (f"- **{name}**: {escape(line)}" for name, line in facts(results))
    yield from _bullets("What stands out", standing_out(results))
    yield from _bullets("Warnings", all_warnings(results))
    yield from _bullets("Without a result", troubles(results))
    for table in all_tables(results):
        yield from ("", f"## {table.title}", "", table.note, "")
        yield from (row(table.columns), rule(len(table.columns)), *map(row, table.rows))
    flipped = flips(results)
    if flipped:
        yield from ("", "## Flipped labels")
    for heading, listed in flipped:
        yield from ("", escape(heading), "")
        yield from (row(FLIP_COLUMNS), rule(len(FLIP_COLUMNS)))
        yield from (row(flip_row(flip)) for flip in listed)
    yield from ("", "## How to repeat it", "", "```", repeat(results), "```")


def _bullets(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {heading}", "", *(f"- {escape(line)}" for line in lines))
