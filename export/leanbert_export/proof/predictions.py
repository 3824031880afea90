"""What a user would get from a graph's output, task by task, and how two such answers compare.

An answer is an array a text, *shape* ``(rows, width)``:

- text-classification: one row, the labels' scores;
- token-classification: a row a token, the labels' probabilities;
- question-answering: a row a token, its probabilities to be the answer's start and end;
- fill-mask: one row, the vocabulary's probabilities at the (first) mask;
- feature-extraction: one row, the mean of the tokens' vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leanbert.bundle import Bundle
from leanbert.engines import Batch
from leanbert.numerics import Floats, apply_function, mean_pool, softmax
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.errors import CheckpointError

_SHOWN = 5  # words of a mask that transformers' pipeline shows, so those that must be right
_LONGEST_ANSWER = 15  # tokens, as transformers' pipeline has it


class Answers:
    """Prepares texts for a task, reads its outputs, compares what they say.

    Raises:
        CheckpointError: a fill-mask model's tokenizer has no mask.
    """

    def __init__(self, task: str, bundle: Bundle) -> None:
        self.task = task
        self._function = bundle.config.default_function
        self._mask, self._mask_id = _mask_of(bundle) if task == "fill-mask" else ("", -1)

    def prepare(self, texts: Sequence[TextInput]) -> list[TextInput]:
        """Texts as this task sees them: pairs for answers, one word hidden for masks.

        Lone texts become the question to those that follow them; a text that has a mask keeps it.
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
        """The answer to each text of a batch; ``output`` is ``task_output``'s."""
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
        """|differences of probability| of the answers; for embeddings 1 - cosine.

        Of answers and masks only at what ``theirs`` gives: the best start and end, the five
        likeliest words. The many others are near 0 in both.
        """
        pairs = list(zip(ours, theirs, strict=True))
        if self.task == "feature-extraction":
            return np.array([1.0 - _cosine(a[0], b[0]) for a, b in pairs], np.float32)
        if self.task == "question-answering":
            return np.concatenate([_at_span(np.abs(a - b), b) for a, b in pairs])
        if self.task == "fill-mask":
            tops = [np.argsort(-b[0], kind="stable")[:_SHOWN] for _, b in pairs]
            found = [np.abs(a - b)[0, top] for (a, b), top in zip(pairs, tops, strict=True)]
            return np.concatenate(found)
        return np.concatenate([np.abs(a - b).reshape(-1) for a, b in pairs])

    def agreement(self, ours: Sequence[Floats], theirs: Sequence[Floats]) -> float | None:
        """Share of labels, spans or words that are the same; ``None`` where there are none."""
        if self.task == "feature-extraction" or theirs[0].shape[1] == 1:
            return None
        if self.task == "question-answering":
            same = [best_span(a) == best_span(b) for a, b in zip(ours, theirs, strict=True)]
            return float(np.mean(same))
        mine, wanted = (np.concatenate([a.argmax(axis=1) for a in side]) for side in (ours, theirs))
        return float((mine == wanted).mean())


def best_span(probabilities: Floats) -> tuple[int, int]:
    """The likeliest start and end, the end not before the start, at most 15 tokens.

    *Shape:* ``(tokens, 2)``; the first token counts, as the answer that there is none.
    """
    joint = np.outer(probabilities[:, 0], probabilities[:, 1])
    allowed = np.triu(joint) - np.triu(joint, _LONGEST_ANSWER)
    start, end = np.unravel_index(int(allowed.argmax()), allowed.shape)
    return int(start), int(end)


def hide_word(text: str, mask: str) -> str:
    """``text`` with its middle word replaced by ``mask``, or its middle character without words."""
    if mask in text:
        return text
    words = text.split(" ")
    if len(words) < 3:
        middle = len(text) // 2
        return f"{text[:middle]}{mask}{text[middle + 1 :]}"
    words[len(words) // 2] = mask
    return " ".join(words)


def _at_span(differences: Floats, theirs: Floats) -> Floats:
    start, end = best_span(theirs)
    return np.array([differences[start, 0], differences[end, 1]], np.float32)


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def first_text(text: TextInput) -> str:
    """A text, or the first of a pair."""
    return text if isinstance(text, str) else text[0]


def _mask_of(bundle: Bundle) -> tuple[str, int]:
    """The mask as it stands in a text, and its id."""
    special = Tokenizer.of(bundle).special_tokens
    token, number = special.token("mask_token"), special.id("mask_token")
    if token is None or number is None:
        raise CheckpointError(f"{bundle.path.name}: the tokenizer has no mask_token to fill")
    return token, number
