"""How ``leanbert predict`` shows answers: one small class per task, which every writer asks.

JSON lines keep an answer whole. Tab-separated lines, CSV and Parquet have rows, as many for a text
as the task finds; tables are for people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leanbert.cli.cells import plain_cell
from leanbert.cli.inputs import Record
from leanbert.shown import one_line, shown

__all__ = ["Answers", "answers_of"]

_COLOURS = {"positive": "32", "negative": "31"}
_WIDEST = 28
"""Characters of a label's column in a table at most."""


class Answers:
    """Answers that are a dictionary or a list of them: a row for each, by its own keys."""

    columns: tuple[str, ...] = ()
    """What a row of an answer has, in the order of :meth:`rows`."""
    label_columns: tuple[str, ...] = ()
    """Further columns, one for each label, which may be called as others are."""
    name = "answers"
    """The key in JSON of an answer that is a list."""
    with_text = True
    """Whether a tab-separated line ends with the text that it answers."""

    def __init__(self, labels: Sequence[str] = (), *, colour: bool = False) -> None:
        self._labels = labels
        self._colour = colour

    def fields(self, answer: Any) -> dict[str, Any]:
        """The keys that JSON adds to the input's own."""
        return dict(answer) if isinstance(answer, Mapping) else {self.name: answer}

    def rows(self, answer: Any) -> list[list[Any]]:
        """Rows of values for :attr:`columns` and :attr:`label_columns`."""
        found = [answer] if isinstance(answer, Mapping) else answer
        return [[row.get(column) for column in self.columns] for row in found]

    def cells(self, record: Record, answer: Any) -> Iterable[list[str]]:
        """The cells of tab-separated lines."""
        for row in self.rows(answer):
            cells = [plain_cell(value) for value in row]
            yield [*cells, one_line(record.text)] if self.with_text else cells

    def table(self, record: Record, answer: Any) -> str:
        """Lines of a table for people."""
        return "".join("  ".join(cells) + "\n" for cells in self.cells(record, answer))

    def bar(self, label: str, score: float, width: int) -> str:
        """A label in its colour, its score, and the score as a bar."""
        padded = f"{shown(label):<{min(width, _WIDEST)}}"
        code = _COLOURS.get(label.lower())
        if code and self._colour:
            padded = f"\x1b[{code}m{padded}\x1b[0m"
        filled = round(8 * min(1.0, max(0.0, score)))
        return f"{padded}  {score:5.3f} {'▰' * filled}{'▱' * (8 - filled)}"

    def width(self) -> int:
        """Characters of the longest label."""
        return max((len(shown(label)) for label in self._labels), default=0)


class _Labels(Answers):
    """``text-classification``: the labels and their scores on one line with the text."""

    columns = ("label", "score")

    def scored(self, answer: Any) -> list[tuple[str, float]]:
        """Labels with their scores, the best one first."""
        listed = answer if isinstance(answer, list) else [answer]
        return [(item["label"], item["score"]) for item in listed]

    def fields(self, answer: Any) -> dict[str, Any]:
        if isinstance(answer, dict):
            return dict(answer)
        scores = dict(self.scored(answer))
        return {"scores": scores if len(scores) == len(answer) else answer}

    def rows(self, answer: Any) -> list[list[Any]]:
        scored = self.scored(answer)
        by_label = defaultdict(list)
        for label, score in scored:
            by_label[label].append(score)
        others = [
            by_label[label].pop(0) if by_label[label] else None for label in self.label_columns
        ]
        return [[*scored[0], *others]]

    def cells(self, record: Record, answer: Any) -> Iterable[list[str]]:
        scored = self.scored(answer)
        yield [*(plain_cell(part) for pair in scored for part in pair), one_line(record.text)]

    def table(self, record: Record, answer: Any) -> str:
        width = self.width()
        cells = [self.bar(label, score, width) for label, score in self.scored(answer)]
        return "  ".join([*cells, shown(record.text.replace("\n", " "))]) + "\n"


class _RankedLabels(_Labels):
    """``text-classification`` with ``--top-k``: rows have a column for each label, too."""

    def __init__(self, labels: Sequence[str] = (), *, colour: bool = False) -> None:
        super().__init__(labels, colour=colour)
        self.label_columns = tuple(labels)


class _ZeroShot(_RankedLabels):
    """``zero-shot-classification``: the labels were chosen at the call."""

    def scored(self, answer: Any) -> list[tuple[str, float]]:
        return list(zip(answer["labels"], answer["scores"], strict=True))

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"labels": answer["labels"], "scores": answer["scores"]}


class _Entities(Answers):
    """``token-classification``: a row for each entity; tables show them within the text."""

    columns = ("label", "score", "start", "end", "word")
    name = "entities"

    def rows(self, answer: Any) -> list[list[Any]]:
        return super().rows(
            [{**row, "label": row.get("entity_group", row.get("entity"))} for row in answer]
        )

    def table(self, record: Record, answer: Any) -> str:
        text, done, parts = record.text, 0, []
        for label, score, start, end, _ in self.rows(answer):
            if start is None or start < done:
                continue
            parts += [text[done:start], f"[{text[start:end]} {label} {score:.2f}]"]
            done = end
        return shown(" ".join("".join([*parts, text[done:]]).splitlines())) + "\n"


class _Extracted(Answers):
    """``question-answering``: the answer and where it stands in the text."""

    columns = ("answer", "score", "start", "end")
    with_text = False


class _Filled(Answers):
    """``fill-mask``: a row for each token of each mask."""

    columns = ("token_str", "score", "token", "sequence")
    with_text = False

    def rows(self, answer: Any) -> list[list[Any]]:
        nested = bool(answer) and isinstance(answer[0], list)
        masks = answer if nested else [answer]
        return super().rows([row for mask in masks for row in mask])

    def table(self, _: Record, answer: Any) -> str:
        rows = self.rows(answer)
        width = max((len(shown(token)) for token, *_ in rows), default=0)
        return "".join(
            f"{self.bar(token, score, width)}  {one_line(sequence)}\n"
            for token, score, _, sequence in rows
        )


class _Ranked(Answers):
    """``text-ranking``: the documents of a query, the best one first."""

    columns = ("score", "corpus_id", "text")
    with_text = False

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"documents": answer}


class _Pairs(Answers):
    """``text-ranking`` of pairs that came with their own query: a score for each."""

    columns = ("score",)

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"scores": answer} if isinstance(answer, list) else {"score": answer}

    def rows(self, answer: Any) -> list[list[Any]]:
        return [[answer]]


class _Vectors(Answers):
    """``feature-extraction``: numbers, for programs."""

    columns = ("embedding",)

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"embedding": answer}

    def rows(self, answer: Any) -> list[list[Any]]:
        return [[answer]]


_KINDS: dict[str, type[Answers]] = {
    "text-classification": _Labels,
    "zero-shot-classification": _ZeroShot,
    "token-classification": _Entities,
    "question-answering": _Extracted,
    "fill-mask": _Filled,
    "text-ranking": _Ranked,
    "feature-extraction": _Vectors,
}


def answers_of(
    task: str,
    labels: Sequence[str],
    options: Mapping[str, Any],
    *,
    split: str | None = None,
    query: bool = False,
    explained: bool = False,
    colour: bool = False,
) -> Answers:
    """What shows a task's answers.

    Args:
        task: the pipeline's task.
        labels: the model's labels in the order of its logits.
        options: the arguments of the pipeline's call.
        split: what documents are split into, if at all.
        query: whether documents are ranked for one query.
        explained: whether the shares of words are shown.
        colour: whether tables are for a terminal with colours.
    """
    if explained:
        from leanbert.cli.explained import explained_answers  # late: few commands explain

        return explained_answers(labels, colour=colour, split=split)
    if split is not None:
        from leanbert.cli.document_answers import Documents  # late: few texts are documents

        return Documents(labels, colour=colour, split=split)
    kind = _KINDS.get(task, Answers)
    if task == "text-classification" and "top_k" in options:
        kind = _RankedLabels
    elif task == "zero-shot-classification":
        labels = options["candidate_labels"]
    elif task == "text-ranking" and not query:
        kind = _Pairs
    return kind(labels, colour=colour)
