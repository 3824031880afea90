"""fastembed: ``TextEmbedding`` of a model that is added to those it knows, mean-pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import TOKENIZER_FILES, file_bytes
from leanbert_bench.backends.optimum import exported
from leanbert_bench.backends.tokenizing import TokenizingBackend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation

_MODEL = "leanbert/bench"


class FastEmbed(TokenizingBackend):
    """Its ONNX Runtime session on Optimum's fp32 graph, the kind of graph that it downloads."""

    name = "fastembed"
    family = "fastembed"
    requires: ClassVar[tuple[str, ...]] = ("fastembed", "onnxruntime")
    makes_with = ("optimum-onnx", "onnx", "torch", "transformers")
    tasks = frozenset({"feature-extraction"})
    only_if_named = True
    arrangement = "embed(list), batches of 256 as by default"
    seconds_to_prepare = 20.0

    _embedding: Any = None

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Take Optimum's own export."""
        return exported(preparation)

    @property
    def imports(self) -> tuple[str, ...]:
        return ("fastembed",)

    def load(self) -> None:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        TextEmbedding.add_custom_model(
            model=_MODEL,
            pooling=PoolingType.MEAN,
            normalization=False,
            sources=ModelSource(hf=_MODEL),
            dim=int(self.config.raw["hidden_size"]),
            model_file="model.onnx",
        )
        self._embedding = TextEmbedding(
            model_name=_MODEL,
            specific_model_path=str(self.model.path),
            threads=self.model.threads,
            providers=["CPUExecutionProvider"],
        )
        self.threads_set = {"threads": self.model.threads}
        self._inner = self._embedding.model
        self._inputs = [node.name for node in self._inner.model.get_inputs()]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._inner.tokenize(list(texts))  # padded to the longest
        return [
            [i for i, kept in zip(row.ids, row.attention_mask, strict=True) if kept]
            for row in found
        ]

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        feed = {name: inputs[name] for name in self._inputs}
        return cast("Floats", self._inner.model.run(None, feed)[0])

    def answer(self, items: Sequence[Any]) -> object:
        return list(self._embedding.embed(list(items)))

    def many(self, items: Sequence[Any]) -> object:
        return self.answer(items)

    def size(self) -> int:
        return file_bytes(self.model.path / name for name in ("model.onnx", *TOKENIZER_FILES))
