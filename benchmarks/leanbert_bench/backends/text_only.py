"""What back ends share that take texts alone: no call of theirs takes token ids."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from leanbert_bench.backends.base import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leanbert_bench.backends.base import Floats, Ids


class TextOnlyBackend(Backend):
    """A back end that tokenizes on its own."""

    takes_ids = False
    tasks = frozenset({"feature-extraction"})
    arrangement: ClassVar[str] = "the list"

    _tokenizer: Any = None

    @abstractmethod
    def compute(self, texts: Sequence[str]) -> Floats:
        """Compute what :meth:`scores` gives of texts that came together.

        *Shape:* ``(len(texts), labels or width)`` float32.
        """

    def answer(self, items: Sequence[Any]) -> object:
        return self.compute(list(items))

    def many(self, items: Sequence[Any]) -> object:
        return self.compute(list(items))

    def scores_of_texts(self, texts: Sequence[str], batches: Iterable[Sequence[int]]) -> Floats:
        import numpy as np

        found: dict[int, Floats] = {}
        for batch in batches:
            found.update(zip(batch, self.compute([texts[i] for i in batch]), strict=True))
        return np.stack([found[i] for i in range(len(texts))])

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize as the checkpoint says: only the lengths of texts are taken from it."""
        import tokenizers

        if self._tokenizer is None:
            folder = self.model.checkpoint or self.model.path
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(min(self.config.max_tokens or 512, 512))
        return [found.ids for found in self._tokenizer.encode_batch(list(texts))]

    def forward(self, inputs: dict[str, Ids]) -> NoReturn:
        raise NotImplementedError(f"{self.name} takes texts, not token ids")
