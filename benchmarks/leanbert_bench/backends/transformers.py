"""``transformers.pipeline`` as its documentation shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from leanbert_bench.backends.pytorch import EagerFp32


class TransformersPipeline(EagerFp32):
    """``pipeline(task, model)`` on PyTorch in fp32."""

    name = "transformers pipeline"
    family = "transformers"
    tasks = frozenset(
        {"text-classification", "feature-extraction", "token-classification", "question-answering"}
    )
    pipeline_batch: ClassVar[int] = 1
    """The ``batch_size`` of :meth:`many`'s call."""
    arrangement: ClassVar[str] = "pipeline(list), batch_size=1 as by default"

    _pipeline: Any = None

    @property
    def imports(self) -> tuple[str, ...]:
        return ("torch", "transformers.pipelines", *super().imports)

    def load(self) -> None:
        import transformers

        self.set_threads()
        transformers.logging.set_verbosity_error()
        self._pipeline = transformers.pipeline(
            self.model.task, model=str(self.model.path), device="cpu"
        )
        self._model = self._pipeline.model.float()
        self._typed = getattr(self._model.config, "type_vocab_size", 0) > 1
        self.use_tokenizer(self._pipeline.tokenizer)

    def answer(self, items: Sequence[Any]) -> object:
        return self._pipeline(list(items), **call_options(self.model.task))

    def many(self, items: Sequence[Any]) -> object:
        options = call_options(self.model.task)
        return self._pipeline(list(items), batch_size=self.pipeline_batch, **options)


class TransformersPipelineBatch32(TransformersPipeline):
    """The same, given batches of 32 texts as they come."""

    name = "transformers pipeline, batches of 32"
    only_if_named = True
    pipeline_batch = 32
    arrangement = "pipeline(list), batch_size=32"


def call_options(task: str) -> dict[str, Any]:
    """Return the options of a call; without truncation, long texts would stop transformers."""
    if task == "token-classification":
        return {"aggregation_strategy": "first"}
    if task == "question-answering":
        return {}
    return {"truncation": True}
