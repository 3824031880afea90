"""Answers as a page that a person reads: one HTML file that needs nothing else.

>>> from leanbert import pipeline
>>> from leanbert.pages import write_page
>>> classify = pipeline("text-classification")
>>> write_page("report.html", report, classify.document(report))  # doctest: +SKIP

A page has no script and asks for nothing from any network; its Content-Security-Policy says so to
the browser. All text, from whatever source, is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leanbert.errors import InputError
from leanbert.files import whole_file
from leanbert.pages.page import Page

__all__ = ["Page", "page", "write_page"]


def page(inputs: Any, answers: Any, *, title: str = "LeanBERT") -> str:
    """The HTML page that shows answers beside the inputs that they answer.

    Args:
        inputs: one input as a pipeline takes it (a text, or a mapping such as
            ``{"question": …, "context": …}``), or a list of inputs.
        answers: what the pipeline answered: of one input its answer, of a list as many answers.
            These may be labels, documents, explanations, tokens and entities, answers to
            questions, filled masks, zero-shot answers and ranked documents.
        title: of the page.

    Raises:
        InputError: an answer is of another kind (embeddings are), or their number is not that of
            the inputs.
    """
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        inputs, answers = [inputs], [answers]
    if not isinstance(answers, Sequence) or len(answers) != len(inputs):
        found = len(answers) if isinstance(answers, Sequence) else type(answers).__name__
        raise InputError(f"a page needs an answer for each input: {len(inputs)} inputs, {found}")
    made = Page(title)
    for given, answer in zip(inputs, answers, strict=True):
        made.add(given, answer)
    return made.html()


def write_page(path: str | Path, inputs: Any, answers: Any, *, title: str | None = None) -> None:
    """Write the page of :func:`page` into a file, which appears whole or not at all.

    Args:
        path: of the file.
        inputs: see :func:`page`.
        answers: likewise.
        title: of the page; ``None`` for the name of the file without its ending.

    Raises:
        InputError: see :func:`page`.
        OSError: the file cannot be written.
    """
    target = Path(path)
    made = page(inputs, answers, title=target.stem if title is None else title)
    with whole_file(target, errors="replace") as file:
        file.write(made)
