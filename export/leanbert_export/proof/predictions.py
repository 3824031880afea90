"""What a graph predicts, task by task, and how two such predictions compare.

The prediction for a text is an array of *shape* ``(rows, width)``:

- text-classification: one row, the scores of the labels;
- token-classification: one row per token, the probabilities of the labels;
- question-answering: one row per token, its probabilities to be the start and the end;
- fill-mask: one row, the probabilities of the vocabulary at the (first) mask;
- feature-extraction: one row, the mean of the tokens' vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leanbert.bundle import Bundle
from leanbert.engines import Batch
from leanbert.numerics import Floats, apply_function, mean_pool, softmax
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.errors import CheckpointError

_SHOWN = 5  # words that transformers' pipeline shows for a mask, so those that must be right
_LONGEST_ANSWER = 15  # tokens, as in transformers' pipeline


@dataclass(frozen=True)
class Flips:
    """Which decisions (labels, spans or words) of one model are not those of another."""

    decisions: int
    """How many decisions were compared: one per text, or one per token."""
    where: Sequence[int]
    """The numbers of the decisions that differ."""
    leads: Floats
    """For each of them, by how much probability the other model held its own decision against the
    one that was taken instead."""

    def beyond(self, margin: float) -> int:
        """How many differ although the other model held them by more than ``margin``."""
        return int((self.leads > margin).sum())


class Predictions:
    """Prepares texts for a task, reads the outputs of a graph, compares what they say.

    Raises:
        CheckpointError: the tokenizer of a fill-mask model has no mask.
    """

    def __init__(self, task: str, bundle: Bundle) -> None:
        self.task = task
        self._function = bundle.config.default_function
        self._mask, self._mask_id = _mask_of(bundle) if task == "fill-mask" else ("", -1)

    def prepare(self, texts: Sequence[TextInput]) -> list[TextInput]:
        """Turn texts into the inputs of the task.

        For question answering, a lone text becomes the question to the three that follow it. For
        fill-mask, one word of each text is hidden, unless it has a mask already.
        """
        if self.task == "question-answering":
            return [
                (text, " ".join(first_text(texts[(i + j) % len(texts)]) for j in (1, 2, 3)))
                if isinstance(text, str)
                else text
                for i, text in enumerate(texts)
            ]
        if self.task == "fill-mask":
            return [
                hide_word(text, self._mask)
                if isinstance(text, str)
                else (hide_word(text[0], self._mask), text[1])
                for text in texts
            ]
        return list(texts)

    def read(self, output: Floats, batch: Batch) -> list[Floats]:
        """The prediction for each text of a batch; ``output`` is that of ``task_output``."""
        if self.task == "text-classification":
            return list(apply_function(self._function, output)[:, None])
        places = [batch.place(i) for i in range(len(batch))]
        rows = [output[place] for place in places]
        if self.task == "feature-extraction":
            return [mean_pool(row)[None] for row in rows]
        if self.task == "fill-mask":
            masks = [int((batch.input_ids[place] == self._mask_id).argmax()) for place in places]
            return [softmax(row[None, mask]) for row, mask in zip(rows, masks, strict=True)]
        if self.task == "question-answering":
            return [softmax(row.T).T for row in rows]
        return [softmax(row) for row in rows]

    def differences(self, ours: Sequence[Floats], theirs: Sequence[Floats]) -> Floats:
        """The absolute differences of probability; for embeddings, 1 - cosine.

        For questions only the best start and end of ``theirs`` count, for masks only its five
        likeliest words: the many other probabilities are near 0 in both.
        """
        pairs = list(zip(ours, theirs, strict=True))
        if self.task == "feature-extraction":
            # The cosine of equal vectors may round to more than 1.
            return np.array([max(0.0, 1.0 - _cosine(a[0], b[0])) for a, b in pairs], np.float32)
        if self.task == "question-answering":
            return np.concatenate([_at_span(np.abs(a - b), b) for a, b in pairs])
        if self.task == "fill-mask":
            tops = [np.argsort(-b[0], kind="stable")[:_SHOWN] for _, b in pairs]
            found = [np.abs(a - b)[0, top] for (a, b), top in zip(pairs, tops, strict=True)]
            return np.concatenate(found)
        return np.concatenate([np.abs(a - b).reshape(-1) for a, b in pairs])

    def flips(self, ours: Sequence[Floats], theirs: Sequence[Floats]) -> Flips | None:
        """Which labels, spans or words of ``ours`` differ from ``theirs``.

        ``None`` where there is nothing to decide: embeddings, and models with a single score.
        """
        if self.task == "feature-extraction" or theirs[0].shape[1] == 1:
            return None
        pairs = list(zip(ours, theirs, strict=True))
        if self.task == "question-answering":
            where, leads = [], []
            for i, (a, b) in enumerate(pairs):
                taken, held = best_span(a), best_span(b)
                if taken != held:
                    where.append(i)
                    leads.append(_span(b, held) - _span(b, taken))
            return Flips(len(pairs), where, np.array(leads, np.float32))
        mine = np.concatenate([a.argmax(axis=1) for a, _ in pairs])
        wanted = np.concatenate([b.argmax(axis=1) for _, b in pairs])
        places = np.flatnonzero(mine != wanted)
        lead = np.concatenate(
            [
                b.max(axis=1) - np.take_along_axis(b, a.argmax(axis=1)[:, None], axis=1)[:, 0]
                for a, b in pairs
            ]
        )
        return Flips(len(wanted), places.tolist(), lead[places])

    def agreement(self, ours: Sequence[Floats], theirs: Sequence[Floats]) -> float | None:
        """Share of labels, spans or words that are the same; ``None`` where there are none."""
        flips = self.flips(ours, theirs)
        return None if flips is None else 1.0 - len(flips.where) / flips.decisions


def best_span(probabilities: Floats) -> tuple[int, int]:
    """The likeliest start and end, the end not before the start, at most 15 tokens.

    *Shape:* ``(tokens, 2)``. The first token stands for "there is no answer".
    """
    joint = np.outer(probabilities[:, 0], probabilities[:, 1])
    allowed = np.triu(joint) - np.triu(joint, _LONGEST_ANSWER)
    start, end = np.unravel_index(int(allowed.argmax()), allowed.shape)
    return int(start), int(end)


def hide_word(text: str, mask: str) -> str:
    """Replace the middle word of ``text`` by ``mask``; of fewer than three, a character."""
    if mask in text:
        return text
    words = text.split(" ")
    if len(words) < 3:
        middle = len(text) // 2
        return f"{text[:middle]}{mask}{text[middle + 1 :]}"
    words[len(words) // 2] = mask
    return " ".join(words)


def first_text(text: TextInput) -> str:
    """A text, or the first of a pair."""
    return text if isinstance(text, str) else text[0]


def _span(probabilities: Floats, span: tuple[int, int]) -> float:
    return float(probabilities[span[0], 0] * probabilities[span[1], 1])


def _at_span(differences: Floats, theirs: Floats) -> Floats:
    start, end = best_span(theirs)
    return np.array([differences[start, 0], differences[end, 1]], np.float32)


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _mask_of(bundle: Bundle) -> tuple[str, int]:
    """The mask as it stands in a text, and its id."""
    special = Tokenizer.of(bundle).special_tokens
    token, number = special.token("mask_token"), special.id("mask_token")
    if token is None or number is None:
        raise CheckpointError(f"{bundle.path.name}: the tokenizer has no mask_token to fill")
    return token, number
