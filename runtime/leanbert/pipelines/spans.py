"""From the logits of starts and ends to answers, as transformers finds them.

To the letter those of transformers 4.57, ``transformers/pipelines/question_answering.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from leanbert.numerics import Floats, softmax
from leanbert.pipelines.answers import Answer
from leanbert.tokenization import Segments

__all__ = ["SpanReader"]

_MASKED = np.float32(-10000.0)


class SpanReader:
    """Turns the logits of a context's windows into answers.

    Args:
        sequence_id: which part of a pair is the context: 0 or 1.
        cls_token_id: the token that stands for no answer; ``None`` where there is none.
    """

    def __init__(self, sequence_id: int, cls_token_id: int | None) -> None:
        self._context = sequence_id
        self._cls = -1 if cls_token_id is None else cls_token_id

    def read(
        self,
        context: str,
        segments: Segments,
        own: range,
        logits: Sequence[Floats],
        *,
        top_k: int,
        max_answer_len: int,
        align_to_words: bool,
        handle_impossible_answer: bool,
    ) -> Answer | list[Answer]:
        """The best answer, or a list of the ``top_k`` best where there is more than one.

        Answers of the same words, from one window or several, are one, and their scores add up.

        Args:
            context: the text that may hold the answer.
            segments: the windows of a group of questions.
            own: which of them are this question's.
            logits: of each of these windows. *Shape:* ``(2, tokens)``, starts and ends.
            top_k: the most answers.
            max_answer_len: the longest answer in tokens.
            align_to_words: widen answers to whole words.
            handle_impossible_answer: let the empty answer compete.
        """
        found: dict[str, Answer] = {}
        null_score = 1e6
        for i, window in zip(own, logits, strict=True):
            scores = self._probabilities(segments, i, window)
            null_score = min(null_score, float(scores[0, 0] * scores[1, 0]))
            scores[:, 0] = 0.0
            # Some spans become the same words: look at more than are asked for.
            number = top_k * 2 + 10 if align_to_words else top_k
            for start, end, score in _best_spans(scores, number, max_answer_len):
                span = self._characters(segments, i, start, end, align=align_to_words)
                text = context[slice(*span)]
                same = found.get(text.lower())
                if same is None:
                    first, last = span
                    found[text.lower()] = {
                        "score": score, "start": first, "end": last, "answer": text
                    }  # fmt: skip
                else:
                    same["score"] += score
        answers = list(found.values())
        if handle_impossible_answer:
            answers.append({"score": null_score, "start": 0, "end": 0, "answer": ""})
        elif not answers:
            answers.append({"score": 0.0, "start": 0, "end": 0, "answer": ""})
        answers.sort(key=lambda answer: -answer["score"])
        return answers[0] if len(answers) == 1 or top_k == 1 else answers[:top_k]

    def _probabilities(self, segments: Segments, i: int, logits: Floats) -> Floats:
        """Those of the starts and ends in the context, and at the token for no answer.

        *Shape:* ``(2, tokens)`` -> the same.
        """
        place = segments.place(i)
        allowed = segments.sequence_ids[place] == self._context
        allowed |= segments.input_ids[place] == self._cls
        return softmax(np.where(allowed, logits, _MASKED))

    def _characters(
        self, segments: Segments, i: int, start: int, end: int, *, align: bool
    ) -> tuple[int, int]:
        """The characters of a span of tokens, or of the words that it touches."""
        place = segments.place(i)
        offsets, words = segments.offsets[place], segments.word_ids[place]
        if align and words[start] >= 0 and words[end] >= 0:
            inside = segments.sequence_ids[place] == self._context
            firsts = np.flatnonzero(inside & (words == words[start]))
            lasts = np.flatnonzero(inside & (words == words[end]))
            if firsts.size and lasts.size:
                start, end = firsts[0], lasts[-1]
        return int(offsets[start, 0]), int(offsets[end, 1])


def _best_spans(
    scores: Floats, number: int, max_answer_len: int
) -> Iterator[tuple[int, int, float]]:
    """The spans of the largest start times end probability, best first; none of probability 0.

    *Shape:* scores ``(2, tokens)``.
    """
    tokens = scores.shape[1]
    width = min(max_answer_len, tokens)
    ends = np.zeros(tokens + width - 1, np.float32)
    ends[:tokens] = scores[1]
    # joint[s, d] is the span from s to s + d: of the whole square, the band that may be.
    joint: npt.NDArray[np.float32] = scores[0][:, None] * np.lib.stride_tricks.sliding_window_view(
        ends, width
    )
    flat = joint.ravel()
    if number < flat.size:
        chosen = np.argpartition(-flat, number)[:number]
        chosen = np.sort(chosen)
    else:
        chosen = np.arange(flat.size)
    for place in chosen[np.argsort(-flat[chosen], kind="stable")].tolist():
        if flat[place] > 0:
            start, length = divmod(place, width)
            yield start, start + length, float(flat[place])
