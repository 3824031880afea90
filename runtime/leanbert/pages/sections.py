"""One input with its answer as a part of a page, whichever task answered it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leanbert.errors import InputError
from leanbert.pages.documents import document, explanation
from leanbert.pages.folding import table
from leanbert.pages.parts import Palette, sentiment_of, shaded
from leanbert.pages.text import escaped, flowing, marked

__all__ = ["Section", "section"]


@dataclass(frozen=True)
class Section:
    """What a page says of one input."""

    body: str
    """HTML: the inside of an ``<article>``, or of an item of a list."""
    said: str
    """The answer in a few words, which are not escaped."""
    sentiment: float | None = None
    row: bool = False
    """Whether it is an item of a list of short texts."""
    key: str = ""
    """What is to be explained to the reader: ``"sentiment"``, ``"labels"``, ``"words"``."""


def section(given: Any, answer: Any, name: str, palette: Palette) -> Section:
    """The section of an input.

    Args:
        given: the input, as the pipeline takes it.
        answer: the pipeline's.
        name: what the page calls the input.
        palette: the colours of the page's labels.

    Raises:
        InputError: a page cannot show the answer.
    """
    found = answer if isinstance(answer, Mapping) else _first(answer)
    for key, make in _KINDS.items():
        if key in found:
            return make(given, answer, escaped(name), palette)
    if isinstance(answer, list) and not answer:  # no entity, no answer, no document
        return _entities(given, answer, escaped(name), palette)
    raise InputError(
        "a page shows labels, documents, entities, answers, masks and ranked texts; this is "
        f"{type(answer).__name__}: write it with -o, or as JSON"
    )


def _first(answer: Any) -> Mapping[str, Any]:
    """The first dictionary of an answer."""
    while isinstance(answer, list) and answer:
        answer = answer[0]
    return answer if isinstance(answer, Mapping) else {}


def _document(given: Any, answer: Any, name: str, palette: Palette) -> Section:
    body = document(_text(given), answer, name, palette)
    return Section(
        body, f"{answer['label']} {answer['score']:.2f}", answer["sentiment_score"],
        key="words" if "words" in _first(answer.get("sentences", [])) else _scale(answer["scores"]),
    )  # fmt: skip


def _explanation(given: Any, answer: Any, name: str, palette: Palette) -> Section:
    body = explanation(_text(given), answer, name, palette)
    return Section(body, f"{answer['label']} {answer['score']:.2f}", key="words")


def _classified(given: Any, answer: Any, _: str, palette: Palette) -> Section:
    rows = answer if isinstance(answer, list) else [answer]
    scores = {row["label"]: row["score"] for row in rows}
    best, score = rows[0]["label"], rows[0]["score"]
    body = (
        f'<span class="body">{shaded(_text(given), scores, palette, row=True)}</span>'
        f'<span class="score">{escaped(best)} {score:.2f}</span>'
    )
    return Section(body, f"{best} {score:.2f}", sentiment_of(scores), row=True, key=_scale(scores))


def _scale(scores: Iterable[str]) -> str:
    return "sentiment" if {"positive", "negative"} & {name.lower() for name in scores} else "labels"


def _entities(given: Any, answer: Any, name: str, palette: Palette) -> Section:
    text = _text(given)
    rows = [(row.get("entity_group", row.get("entity")), row) for row in answer]
    marks = [
        (row["start"], row["end"], f'<mark class="{palette.kind(str(label))}">', _tag(label, row))
        for label, row in rows
        if row.get("start") is not None
    ]
    cells = [
        [escaped(text[row["start"] : row["end"]]), escaped(label), f"{row['score']:.3f}"]
        for label, row in rows
        if row.get("start") is not None
    ]
    body = f"<h2>{name}</h2>\n<p>{marked(text, marks)}</p>\n"
    if not rows:
        body += '<p class="note">Nothing was found.</p>\n'
    return Section(
        body + table("Found", ["Text", "Label", "Score"], cells),
        f"{len(rows)} found",
        key="labels",
    )


def _tag(label: object, row: Mapping[str, Any]) -> str:
    return f'<span class="tag"> {escaped(label)} {row["score"]:.2f}</span></mark>'


def _extracted(given: Any, answer: Any, name: str, palette: Palette) -> Section:
    answers = answer if isinstance(answer, list) else [answer]
    question = given.get("question", name) if isinstance(given, Mapping) else name
    best = answers[0]
    marks: list[tuple[int, int, str, str]] = []
    for row in answers:
        if all(row["end"] <= start or row["start"] >= end for start, end, *_ in marks):
            kind = palette.kind("answer" if row is best else "other answer")
            tag = f'<span class="tag"> {row["score"]:.2f}</span></mark>'
            marks.append((row["start"], row["end"], f'<mark class="{kind}">', tag))
    said = best["answer"] or "no answer"
    body = (
        f"<h2>{escaped(question)}</h2>\n"
        f'<p class="verdict"><b>{escaped(said)}</b> · score {best["score"]:.2f}</p>\n'
        f"<p>{marked(_text(given), marks)}</p>\n"
    )
    cells = [[escaped(row["answer"]), f"{row['score']:.3f}"] for row in answers]
    listed = table("All answers", ["Answer", "Score"], cells) if len(answers) > 1 else ""
    return Section(body + listed, said)


def _zero_shot(given: Any, answer: Any, name: str, _: Palette) -> Section:
    body = f"<h2>{name}</h2>\n<p>{flowing(_text(given))}</p>\n"
    pairs = list(zip(answer["labels"], answer["scores"], strict=True))
    cells = [[escaped(label), f"{score:.3f}"] for label, score in pairs]
    said = f"{pairs[0][0]} {pairs[0][1]:.2f}"
    return Section(body + table("Labels", ["Label", "Score"], cells, opened=True), said)


def _filled(given: Any, answer: Any, name: str, _: Palette) -> Section:
    masks = answer if answer and isinstance(answer[0], list) else [answer]
    body = f"<h2>{name}</h2>\n<p>{flowing(_text(given))}</p>\n"
    for number, rows in enumerate(masks, 1):
        cells = [
            [escaped(row["token_str"]), f"{row['score']:.3f}", escaped(row["sequence"])]
            for row in rows
        ]
        title = "Best tokens" if len(masks) == 1 else f"Best tokens of mask {number}"
        body += table(title, ["Token", "Score", "Text"], cells, opened=True)
    return Section(body, _first(answer)["token_str"])


def _ranked(given: Any, answer: Any, name: str, _: Palette) -> Section:
    query = given.get("query", name) if isinstance(given, Mapping) else str(given)
    documents = given.get("documents", ()) if isinstance(given, Mapping) else ()
    cells = []
    for row in answer:
        number = row["corpus_id"]
        text = row.get("text") or (documents[number] if number < len(documents) else "")
        cells.append([flowing(str(text)), f"{row['score']:.3f}", f"{number + 1:,}"])
    heads = ["Text", "Score", "Number"]
    body = f"<h2>{escaped(query)}</h2>\n" + table("Best first", heads, cells, opened=True)
    return Section(body, f"{len(answer)} texts")


def _text(given: Any) -> str:
    """The text of an input; a pair is two lines."""
    if isinstance(given, Mapping):
        if "context" in given:
            return str(given["context"])
        given = [given.get("text", ""), given.get("text_pair")]
    if isinstance(given, (list, tuple)):
        return "\n\n".join(str(part) for part in given if part)
    return str(given)


_KINDS: dict[str, Callable[[Any, Any, str, Palette], Section]] = {
    "sentences": _document,
    "windows": _document,
    "words": _explanation,
    "entity_group": _entities,
    "entity": _entities,
    "answer": _extracted,
    "token_str": _filled,
    "sequence": _zero_shot,
    "corpus_id": _ranked,
    "label": _classified,
}
"""A key of an answer, and what shows answers with this key; the first that is found counts."""
