"""How ``leanbert predict --explain`` shows the share of each word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from leanbert.cli.answers import Answers
from leanbert.cli.cells import plain_cell
from leanbert.cli.document_answers import Documents
from leanbert.cli.inputs import Record
from leanbert.shown import one_line, shown

__all__ = ["explained_answers"]

_BAR = 8
_WIDEST = 24


def explained_answers(labels: Sequence[str], *, colour: bool, split: str | None) -> Answers:
    """What shows explanations.

    Args:
        labels: the model's.
        colour: whether tables are for a terminal with colours.
        split: what is explained by itself: ``"sentences"``, or ``None`` for whole texts.
    """
    if split is None:
        return _Explained(labels, colour=colour)
    return _ExplainedDocuments(labels, colour=colour, split=split)


class _Explained(Answers):
    """A row for each word of a text; a text without words has none."""

    columns = ("word", "share", "start", "end", "label", "score")

    def rows(self, answer: Any) -> list[list[Any]]:
        whole = (answer["label"], answer["score"])
        return [
            [word["word"], word["share"], word["start"], word["end"], *whole]
            for word in answer["words"]
        ]

    def cells(self, _: Record, answer: Any) -> Iterable[list[str]]:
        for row in self.rows(answer):
            yield list(map(plain_cell, row))

    def table(self, record: Record, answer: Any) -> str:
        text = shown(record.text.replace("\n", " "))
        head = self.bar(answer["label"], answer["score"], self.width())
        return "".join([f"{head}  {text}\n", *_bars(answer["words"])])


class _ExplainedDocuments(Documents):
    """The rows of documents, with all words of each sentence and their shares."""

    def __init__(self, labels: Sequence[str], *, colour: bool, split: str) -> None:
        super().__init__(labels, colour=colour, split=split)
        self.columns = (*self.columns, "words")

    def rows(self, answer: Any) -> list[list[Any]]:
        return [
            [*row, _listed(part["words"])]
            for row, part in zip(super().rows(answer), answer["sentences"], strict=True)
        ]

    def part(self, found: Mapping[str, Any]) -> Iterable[str]:
        return [*super().part(found), *_bars(found["words"])]


def _listed(words: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{word['word']} {word['share']:+.4f}" for word in words)


def _bars(words: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each word: its share as a number and as a bar, which the largest one fills."""
    largest = max((abs(word["share"]) for word in words), default=0.0) or 1.0
    width = max((min(_WIDEST, len(shown(word["word"]))) for word in words), default=0)
    for word in words:
        filled = round(_BAR * abs(word["share"]) / largest)
        bar = "▰" * filled if word["share"] > 0 else "▱" * filled
        yield f"  {one_line(word['word']):<{width}}  {word['share']:+.3f} {bar}".rstrip() + "\n"
