"""How ``leanbert predict --split`` shows documents and their parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leanbert.cli.answers import Answers
from leanbert.cli.cells import plain_cell
from leanbert.cli.inputs import Record
from leanbert.shown import one_line

__all__ = ["Documents"]


class Documents(Answers):
    """``--split``: a row for each part, with the columns that ProsusAI/finBERT's predict.py writes.

    These are ``sentence,logit,prediction,sentiment_score``, where ``logit`` holds the
    probabilities in the order of the model's labels, as numpy prints them.
    """

    with_text = False

    def __init__(self, labels: Sequence[str], *, colour: bool, split: str) -> None:
        super().__init__(labels, colour=colour)
        self._split = split
        self.columns = (split.removesuffix("s"), "logit", "prediction", "sentiment_score")

    def fields(self, answer: Any) -> dict[str, Any]:
        """The keys that JSON adds to the input's own."""
        return dict(answer)

    def rows(self, answer: Any) -> list[list[Any]]:
        """Rows of values for the columns."""
        import numpy as np  # late, so that --help does not wait for it

        def printed(value: float | None) -> str | None:
            return None if value is None else str(np.float32(value))

        return [
            [
                part["text"],
                str(np.array(list(part["scores"].values()), dtype=np.float32)),
                part["label"],
                printed(part["sentiment_score"]),
            ]
            for part in answer[self._split]
        ]

    def cells(self, _: Record, answer: Any) -> Iterable[list[str]]:
        """The cells of tab-separated lines."""
        for part in answer[self._split]:
            sentiment = part["sentiment_score"]
            scores = [part["score"], *([] if sentiment is None else [sentiment])]
            yield [plain_cell(part["label"]), *map(plain_cell, scores), one_line(part["text"])]

    def table(self, _: Record, answer: Any) -> str:
        """Lines of a table for people: the parts, then the whole."""
        lines = [line for part in answer[self._split] for line in self.part(part)]
        total = f"= the document: {self._split} {len(answer[self._split])}"
        return "".join([*lines, self.line(answer, total)])

    def part(self, found: Mapping[str, Any]) -> Iterable[str]:
        """The lines of a table for one part."""
        return [self.line(found, found["text"])]

    def line(self, found: Mapping[str, Any], text: str) -> str:
        """A part, or the whole, on a line."""
        sentiment = found["sentiment_score"]
        signed = "" if sentiment is None else f"  {sentiment:+.3f}"
        bar = self.bar(found["label"], found["score"], self.width())
        return f"{bar}{signed}  {one_line(text)}\n"
