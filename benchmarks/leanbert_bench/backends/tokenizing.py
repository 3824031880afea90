"""What back ends share that tokenize with transformers' fast tokenizer and decode themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from leanbert_bench.backends.base import Backend, sorted_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert_bench.backends.base import Floats


class TokenizingBackend(Backend):
    """A back end that is only a graph: text -> fast tokenizer -> :meth:`forward` -> answers."""

    batch_size: ClassVar[int] = 16
    """Texts of a batch of :meth:`many`, which are sorted by length."""
    arrangement: ClassVar[str] = "sorted by length, batches of 16"

    _tokenizer: Any = None
    _longest: int = 512

    def load_tokenizer(self) -> None:
        """Load the checkpoint's fast tokenizer."""
        import transformers

        transformers.logging.set_verbosity_error()
        folder = str(self.model.checkpoint or self.model.path)
        self.use_tokenizer(transformers.AutoTokenizer.from_pretrained(folder, use_fast=True))

    def use_tokenizer(self, tokenizer: Any) -> None:
        """Tokenize with ``tokenizer``, and cut at the model's length or 512 tokens."""
        config = self.config
        self._tokenizer = tokenizer
        self._longest = int(min(tokenizer.model_max_length, config.max_tokens or 512, 512))
        self._labels = list(config.id2label.values())
        self._function = config.default_function

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._tokenizer(list(texts), truncation=True, max_length=self._longest)
        rows: list[list[int]] = found["input_ids"]
        return rows

    def decode(self, outputs: Floats, mask: Any) -> list[Any]:
        """Make one answer per row: the best label with its score, or the mean-pooled embedding."""
        from leanbert.numerics import apply_function, mean_pool

        if outputs.ndim == 3:
            lengths = mask.sum(axis=1)
            return [mean_pool(row[:n]) for row, n in zip(outputs, lengths, strict=True)]
        scores = apply_function(self._function, outputs)
        best = scores.argmax(axis=1)
        return [
            {"label": self._labels[i], "score": float(row[i])}
            for i, row in zip(best, scores, strict=True)
        ]

    def answer(self, items: Sequence[Any]) -> object:
        """Answer the items as one padded batch."""
        inputs = self.collate(self.tokenize(items))
        return self.decode(self.forward(inputs), inputs["attention_mask"])

    def many(self, items: Sequence[Any]) -> object:
        rows = self.tokenize(items)
        answers: dict[int, Any] = {}
        for batch in sorted_batches([len(row) for row in rows], self.batch_size):
            inputs = self.collate([rows[i] for i in batch])
            made = self.decode(self.forward(inputs), inputs["attention_mask"])
            answers.update(zip(batch, made, strict=True))
        return [answers[i] for i in range(len(rows))]
