"""``transformers.pipeline`` as its documentation shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from leanbert_bench.backends.pytorch import EagerFp32

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TransformersPipeline"]


class TransformersPipeline(EagerFp32):
    """``pipeline(task, model)`` on PyTorch in fp32."""

    name = "transformers pipeline"
    family = "transformers"
    tasks = frozenset(
        {"text-classification", "feature-extraction", "token-classification", "question-answering"}
    )
    arrangement: ClassVar[str] = "pipeline(list), batch_size=1 as by default"

    _pipeline: Any = None

    @property
    def imports(self) -> tuple[str, ...]:
        """See :meth:`Backend.imports`."""
        return ("torch", "transformers.pipelines", *super().imports)

    def load(self) -> None:
        """See :meth:`Backend.load`."""
        import transformers

        self.set_threads()
        transformers.logging.set_verbosity_error()
        self._pipeline = transformers.pipeline(
            self.model.task, model=str(self.model.path), device="cpu"
        )
        self._model = self._pipeline.model.float()
        self._tokenizer = self._pipeline.tokenizer
        self._typed = getattr(self._model.config, "type_vocab_size", 0) > 1
        known = (self._tokenizer.model_max_length, self.config.max_tokens or 512, 512)
        self._longest = int(min(known))
        self._options = call_options(self.model.task)

    def answer(self, items: Sequence[Any]) -> object:
        """See :meth:`Backend.answer`."""
        return self._pipeline(list(items), **self._options)

    def many(self, items: Sequence[Any], **options: Any) -> object:
        """See :meth:`Backend.many`; ``options`` are the call's, for example ``batch_size``."""
        return self._pipeline(list(items), **self._options, **options)


def call_options(task: str) -> dict[str, Any]:
    """What a call is given; without truncation a text above 512 tokens would stop transformers."""
    if task == "token-classification":
        return {"aggregation_strategy": "first"}
    if task == "question-answering":
        return {}
    return {"truncation": True}
