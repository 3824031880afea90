"""What ``leanbert predict --verbose`` says at the end: what computed, and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from leanbert.cli.answering import Answered
from leanbert.cli.inputs import Entry, Failure
from leanbert.cpu import allowed_cores
from leanbert.shown import counted

__all__ = ["Tally"]


class Tally:
    """Counts the texts that a command answers, and the time that this takes.

    The time begins when the first text is asked for, so that opening the model is not in it, and
    ends when the last answer is written.
    """

    def __init__(self) -> None:
        self.texts = 0
        self.seconds = 0.0

    def counting(self, found: Iterator[Answered | Failure]) -> Iterator[Answered | Failure]:
        """The same answers and failures, the answers counted."""
        start = time.perf_counter()
        try:
            for one in found:
                if not isinstance(one, Failure):
                    self.texts += _texts_of(one[0])
                yield one
        finally:
            self.seconds += time.perf_counter() - start

    def line(self, model: Any) -> str:
        """One line: engine, kernels, threads, texts, repeats that were computed once, speed."""
        report = model.engine_report
        kernels = "" if report.isa is None else f", {report.isa}"
        threads = counted(model.threads or allowed_cores(), "thread")
        repeats = counted(model.runner.repeats, "repeat")
        rate = self.texts / self.seconds if self.seconds else 0
        return (
            f"{report.engine} engine{kernels}, {threads}, mode {model.mode}: "
            f"{counted(self.texts, 'text')} in {self.seconds:.2f} s, {rate:,.0f} texts per second, "
            f"{repeats} computed once"
        )


def _texts_of(entry: Entry) -> int:
    """The texts that one answer is about: several where documents are ranked."""
    given = entry.given
    return len(given["documents"]) if isinstance(given, dict) and "documents" in given else 1
