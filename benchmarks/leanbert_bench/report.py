"""The reports of a run: ``report.md`` and the self-contained ``report.html``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leanbert.files import whole_file
from leanbert_bench.document import troubles, write_document
from leanbert_bench.markdown import escape, row, rule
from leanbert_bench.noise import all_warnings
from leanbert_bench.prose import FLIP_COLUMNS, facts, flip_row, flips, repeat, standing_out, title
from leanbert_bench.records import describe_bundle, describe_machine, installed
from leanbert_bench.sections import replace_section
from leanbert_bench.tables import all_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "describe_bundle",  # these five for the measurements under benchmarks/graph and beside it
    "describe_machine",
    "installed",
    "markdown",
    "replace_section",
    "write_document",
    "write_reports",
]


def write_reports(document: Mapping[str, Any], output_dir: Path) -> list[Path]:
    """Write ``report.md`` and ``report.html``; each appears whole or not at all.

    Args:
        document: the results, complete or not.
        output_dir: is made if it is missing.

    Returns:
        The files, in the order of writing.

    Raises:
        MissingExtraError: matplotlib is missing; ``report.md`` is there all the same.
        OSError: the directory cannot be written to.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    plain, page = output_dir / "report.md", output_dir / "report.html"
    with whole_file(plain) as file:
        file.write(markdown(document))
    from leanbert_bench.page import html

    text = html(document)
    with whole_file(page) as file:
        file.write(text)
    return [plain, page]


def markdown(document: Mapping[str, Any]) -> str:
    """The whole report as Markdown."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {escape(title(document))}"
    yield ""
    yield from (f"- **{name}**: {escape(line)}" for name, line in facts(document))
    yield from _bullets("What stands out", standing_out(document))
    yield from _bullets("Warnings", all_warnings(document))
    yield from _bullets("Without a result", troubles(document))
    for table in all_tables(document):
        yield from ("", f"## {table.title}", "", table.note, "")
        yield from (row(table.columns), rule(len(table.columns)), *map(row, table.rows))
    flipped = flips(document)
    if flipped:
        yield from ("", "## Flipped labels")
    for heading, listed in flipped:
        yield from ("", escape(heading), "")
        yield from (row(FLIP_COLUMNS), rule(len(FLIP_COLUMNS)))
        yield from (row(flip_row(flip)) for flip in listed)
    yield from ("", "## How to repeat it", "", "```", repeat(document), "```")


def _bullets(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {heading}", "", *(f"- {escape(line)}" for line in lines))
