"""Documents and explained texts as articles of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leanbert.pages.folding import table
from leanbert.pages.parts import Palette, shaded, strongest
from leanbert.pages.plot import running_mean, running_means
from leanbert.pages.text import elided, escaped, signed
from leanbert.shown import counted

__all__ = ["document", "explanation"]

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def document(text: str, answer: Mapping[str, Any], name: str, palette: Palette) -> str:
    """A document: what it is as a whole, the running mean, its text, and a table of its parts.

    Args:
        text: the whole of it.
        answer: as ``classify.document`` or ``classify.explain(…, split="sentences")`` gives it.
        name: its heading, which is HTML.
        palette: the colours of labels.
    """
    word = "sentence" if "sentences" in answer else "window"
    parts: Sequence[Mapping[str, Any]] = answer[f"{word}s"]
    sentiments = [part["sentiment_score"] for part in parts]
    known = None not in sentiments
    facts = [f"<b>{escaped(answer['label'])} {answer['score']:.2f}</b>"]
    if answer["sentiment_score"] is not None:
        facts.append(f"sentiment {signed(answer['sentiment_score'])}")
    facts.append(counted(len(parts), word))
    plot = running_mean(sentiments, word) if known and len(parts) > 1 else ""
    flow = "".join(_flow(text, parts, palette, by_windows=word == "window"))
    return (
        f'<h2>{name}</h2>\n<p class="verdict">{" · ".join(facts)}</p>\n'
        f"{plot}<p>{flow}</p>\n{_parts_table(word, parts, sentiments if known else [])}"
    )


def explanation(text: str, answer: Mapping[str, Any], name: str, palette: Palette) -> str:
    """A text whose words are explained, and a table of these.

    Args:
        text: the text.
        answer: as ``classify.explain`` gives it.
        name: its heading, which is HTML.
        palette: the colours of labels.
    """
    label, score, words = answer["label"], answer["score"], answer["words"]
    part = shaded(text, {label: score}, palette, words=words)
    cells = [[escaped(word["word"]), signed(word["share"], 3)] for word in words]
    return (
        f'<h2>{name}</h2>\n<p class="verdict"><b>{escaped(label)} {score:.2f}</b></p>\n'
        f"<p>{part}</p>\n{table('Share of each word', ['Word', 'Share'], cells)}"
    )


def _flow(
    text: str, parts: Sequence[Mapping[str, Any]], palette: Palette, *, by_windows: bool
) -> Iterator[str]:
    """The parts with what stands between them; windows may overlap, so each is a paragraph."""
    done = 0
    for number, part in enumerate(parts):
        if by_windows:
            yield "</p>\n<p>" * (number > 0)
        else:
            gap = text[done : part["start"]]
            yield "</p>\n<p>" if number and _BLANK_LINE.search(gap) else escaped(gap) or "\n"
            done = part["end"]
        scores = dict(sorted(part["scores"].items(), key=lambda item: -item[1]))
        words = part.get("words", ())
        yield shaded(part["text"], scores, palette, words=words, start=part["start"])
    if not by_windows:
        yield escaped(text[done:])


def _parts_table(word: str, parts: Sequence[Mapping[str, Any]], sentiments: Sequence[float]) -> str:
    heads = ["#", word.capitalize(), "Label", "Score"]
    heads += ["Sentiment", "Running mean"] if sentiments else []
    heads += ["Words"] if "words" in parts[0] else []
    means = running_means(sentiments)
    rows = []
    for i, part in enumerate(parts):
        row = [f"{i + 1:,}", elided(part["text"]), escaped(part["label"]), f"{part['score']:.3f}"]
        row += [signed(sentiments[i]), signed(means[i])] if sentiments else []
        row += [escaped(strongest(part["words"]))] if "words" in part else []
        rows.append(row)
    return table(f"All {word}s as a table", heads, rows)
