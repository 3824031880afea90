"""How ``leanbert predict`` shows answers: one small class a task, four ways to write each.

JSON lines keep an answer whole. Tab-separated lines and CSV have rows, as many for a text as the
task finds; tables are for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leanbert.cli.inputs import Record

__all__ = ["Answers", "answers_of", "one_line"]

_COLOURS = {"positive": "32", "negative": "31"}
_WIDEST = 28
"""Characters of a label's column in a table at most."""


class Answers:
    """Answers that are a dictionary or a list of them: a row for each, by its own keys."""

    columns: tuple[str, ...] = ()
    """Of CSV and tab-separated lines, before the text."""
    name = "answers"
    """What a list of several is called in JSON."""
    with_text = True
    """Whether a row shows the text that it answers."""

    def __init__(self, labels: Sequence[str] = (), *, colour: bool = False) -> None:
        self._labels = labels
        self._colour = colour

    def fields(self, answer: Any) -> dict[str, Any]:
        """The keys that JSON adds to the text's own."""
        return dict(answer) if isinstance(answer, Mapping) else {self.name: answer}

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        """What CSV writes, by column."""
        return [dict(row) for row in ([answer] if isinstance(answer, Mapping) else answer)]

    def cells(self, record: Record, answer: Any) -> Iterable[list[str]]:
        """Tab-separated lines."""
        for row in self.rows(answer):
            cells = [_plain(row.get(column, "")) for column in self.columns]
            yield [*cells, one_line(record.text)] if self.with_text else cells

    def shown(self, record: Record, answer: Any) -> str:
        """Lines of a table."""
        return "".join("  ".join(cells) + "\n" for cells in self.cells(record, answer))

    def bar(self, label: str, score: float, width: int) -> str:
        """A label in its colour, its score, and the score as a bar."""
        padded = f"{label:<{min(width, _WIDEST)}}"
        code = _COLOURS.get(label.lower())
        if code and self._colour:
            padded = f"\x1b[{code}m{padded}\x1b[0m"
        filled = round(8 * min(1.0, max(0.0, score)))
        return f"{padded}  {score:5.3f} {'▰' * filled}{'▱' * (8 - filled)}"


class _Labels(Answers):
    """``text-classification``: labels and scores on the text's own line."""

    columns: tuple[str, ...] = ("label", "score")

    def scored(self, answer: Any) -> list[tuple[str, float]]:
        """Labels and scores, best first."""
        listed = answer if isinstance(answer, list) else [answer]
        return [(item["label"], item["score"]) for item in listed]

    def fields(self, answer: Any) -> dict[str, Any]:
        return dict(answer) if isinstance(answer, dict) else {"scores": dict(self.scored(answer))}

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        scored = self.scored(answer)
        best = {"label": scored[0][0], "score": scored[0][1]}
        return [best if isinstance(answer, dict) else {**best, **dict(scored)}]

    def cells(self, record: Record, answer: Any) -> Iterable[list[str]]:
        scored = self.scored(answer)
        yield [*(_plain(part) for pair in scored for part in pair), one_line(record.text)]

    def shown(self, record: Record, answer: Any) -> str:
        width = max(map(len, self._labels), default=0)
        cells = [self.bar(label, score, width) for label, score in self.scored(answer)]
        return "  ".join([*cells, record.text.replace("\n", " ")]) + "\n"


class _RankedLabels(_Labels):
    """``text-classification`` with ``--top-k``: in CSV a column for each label, too."""

    def __init__(self, labels: Sequence[str] = (), *, colour: bool = False) -> None:
        super().__init__(labels, colour=colour)
        self.columns = ("label", "score", *dict.fromkeys(labels))


class _ZeroShot(_RankedLabels):
    """``zero-shot-classification``: as labels that were chosen at the call."""

    def scored(self, answer: Any) -> list[tuple[str, float]]:
        return list(zip(answer["labels"], answer["scores"], strict=True))

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"labels": answer["labels"], "scores": answer["scores"]}

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        scored = self.scored(answer)
        return [{"label": scored[0][0], "score": scored[0][1], **dict(scored)}]


class _Entities(Answers):
    """``token-classification``: a row an entity; tables show them within the text."""

    columns = ("label", "score", "start", "end", "word")
    name = "entities"

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        return [{**row, "label": row.get("entity_group", row.get("entity"))} for row in answer]

    def shown(self, record: Record, answer: Any) -> str:
        text, done, parts = record.text, 0, []
        for row in self.rows(answer):
            start, end = row["start"], row["end"]
            if start is None or start < done:
                continue
            told = f"{text[start:end]} {row['label']} {row['score']:.2f}"
            parts += [text[done:start], f"[{told}]"]
            done = end
        return " ".join("".join([*parts, text[done:]]).splitlines()) + "\n"


class _Extracted(Answers):
    """``question-answering``: the answer and where it stands in the text."""

    columns = ("answer", "score", "start", "end")
    with_text = False


class _Filled(Answers):
    """``fill-mask``: a row for each token and mask."""

    columns = ("token_str", "score", "token", "sequence")
    with_text = False

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        nested = bool(answer) and isinstance(answer[0], list)
        return [dict(row) for mask in (answer if nested else [answer]) for row in mask]

    def shown(self, _: Record, answer: Any) -> str:
        rows = self.rows(answer)
        width = max((len(row["token_str"]) for row in rows), default=0)
        return "".join(
            f"{self.bar(row['token_str'], row['score'], width)}  {one_line(row['sequence'])}\n"
            for row in rows
        )


class _Ranked(Answers):
    """``text-ranking``: documents of a query best first, or the score of a pair."""

    columns: tuple[str, ...] = ("score", "corpus_id", "text")
    name = "documents"
    with_text = False

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        return answer if isinstance(answer, list) else [{"score": answer}]

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"documents": answer} if isinstance(answer, list) else {"score": answer}


class _Pairs(_Ranked):
    """``text-ranking`` of pairs that came with their own query."""

    columns = ("score",)
    with_text = True

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"scores": answer} if isinstance(answer, list) else {"score": answer}

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        return [{"score": answer}]


class _Vectors(Answers):
    """``feature-extraction``: numbers, which only JSON is for."""

    columns = ("embedding",)

    def fields(self, answer: Any) -> dict[str, Any]:
        return {"embedding": answer}

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        return [{"embedding": answer}]


class _Documents(Answers):
    """``--split``: a row a sentence, in CSV the columns that ProsusAI/finBERT's predict.py writes.

    That is ``sentence,logit,prediction,sentiment_score``, where ``logit`` holds the probabilities
    in the order of the model's labels, as numpy prints them.
    """

    with_text = False

    def __init__(self, labels: Sequence[str], *, colour: bool, split: str) -> None:
        super().__init__(labels, colour=colour)
        self._split = split
        self.columns = (split.removesuffix("s"), "logit", "prediction", "sentiment_score")

    def fields(self, answer: Any) -> dict[str, Any]:
        return dict(answer)

    def rows(self, answer: Any) -> list[dict[str, Any]]:
        import numpy as np  # late, so that --help does not wait for it

        def printed(value: float | None) -> str:
            return "" if value is None else str(np.float32(value))

        return [
            {
                self.columns[0]: part["text"],
                "logit": str(np.array(list(part["scores"].values()), dtype=np.float32)),
                "prediction": part["label"],
                "sentiment_score": printed(part["sentiment_score"]),
            }
            for part in answer[self._split]
        ]

    def cells(self, _: Record, answer: Any) -> Iterable[list[str]]:
        for part in answer[self._split]:
            sentiment = part["sentiment_score"]
            told = [] if sentiment is None else [f"{sentiment:.4f}"]
            yield [part["label"], f"{part['score']:.4f}", *told, one_line(part["text"])]

    def shown(self, _: Record, answer: Any) -> str:
        width = max(map(len, self._labels), default=0)
        lines = [self._line(part, width, part["text"]) for part in answer[self._split]]
        told = f"= the document: {self.columns[0]}s {len(lines)}"
        return "".join([*lines, self._line(answer, width, told)])

    def _line(self, found: Mapping[str, Any], width: int, text: str) -> str:
        sentiment = found["sentiment_score"]
        told = "" if sentiment is None else f"  {sentiment:+.3f}"
        return f"{self.bar(found['label'], found['score'], width)}{told}  {one_line(text)}\n"


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
    colour: bool = False,
) -> Answers:
    """What shows a task's answers.

    Args:
        task: the pipeline's.
        labels: the model's, in order.
        options: of the pipeline's call.
        split: what documents are split into, if at all.
        query: whether documents are ranked for one query.
        colour: whether tables are for a terminal with colours.
    """
    if split is not None:
        return _Documents(labels, colour=colour, split=split)
    kind = _KINDS.get(task, Answers)
    if task == "text-classification" and "top_k" in options:
        kind = _RankedLabels
    elif task == "zero-shot-classification":
        labels = options["candidate_labels"]
    elif task == "text-ranking" and not query:
        kind = _Pairs
    return kind(labels, colour=colour)


def one_line(text: str) -> str:
    """``text`` without what would end a line or a cell."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return one_line("" if value is None else str(value))
