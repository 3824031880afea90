"""CTranslate2: its int8 encoder, with a classifier's head in numpy, as it has no heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import TOKENIZER_FILES, file_bytes
from leanbert_bench.backends.tokenizing import TokenizingBackend

if TYPE_CHECKING:
    from pathlib import Path

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation


_HEAD = "head.npz"


class CTranslate2Int8(TokenizingBackend):
    """``ctranslate2.Encoder`` of a BERT in int8."""

    name = "CTranslate2 int8"
    family = "ctranslate2"
    precision = "int8"
    requires = ("ctranslate2", "transformers")
    makes_with = ("torch",)
    batch_size: ClassVar[int] = 32
    arrangement = "sorted by length, batches of 32"
    seconds_to_prepare = 15.0

    _encoder: Any = None

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:
        if config.model_type != "bert":
            return f"this back end's head is for BERT, and the model is {config.model_type}"
        return None

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            import ctranslate2
            import numpy as np
            import transformers

            checkpoint = str(preparation.checkpoint)
            converter = ctranslate2.converters.TransformersConverter(checkpoint)
            converter.convert(str(folder), quantization="int8", force=True)
            if preparation.task == "text-classification":
                kind = transformers.AutoModelForSequenceClassification
                head = kind.from_pretrained(checkpoint).classifier
                np.savez(
                    folder / _HEAD,
                    weight=head.weight.detach().float().numpy(),
                    bias=head.bias.detach().float().numpy(),
                )

        return preparation.once("ctranslate2-int8", ("ctranslate2", "transformers"), make)

    @property
    def imports(self) -> tuple[str, ...]:
        return ("ctranslate2", "transformers.models.auto.tokenization_auto")

    def load(self) -> None:
        import ctranslate2
        import numpy as np

        threads = self.model.threads
        self._encoder = ctranslate2.Encoder(
            str(self.model.path),
            device="cpu",
            compute_type="int8",
            inter_threads=1,
            intra_threads=threads,
        )
        self._head: tuple[Any, Any] | None = None
        if self.model.task == "text-classification":
            with np.load(self.model.path / _HEAD) as kept:
                self._head = kept["weight"], kept["bias"]
        self.load_tokenizer()
        self.threads_set = {"intra_threads": threads, "inter_threads": 1}

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        import ctranslate2
        import numpy as np

        ids = inputs["input_ids"].astype(np.int32)
        lengths = inputs["attention_mask"].sum(axis=1).astype(np.int32)
        found = self._encoder.forward_batch(
            ctranslate2.StorageView.from_array(ids),
            ctranslate2.StorageView.from_array(lengths),
            token_type_ids=np.zeros_like(ids).tolist(),
        )
        if self._head is None:
            return cast("Floats", np.array(found.last_hidden_state))
        weight, bias = self._head
        return cast("Floats", np.array(found.pooler_output) @ weight.T + bias)

    def size(self) -> int:
        folder = self.model.checkpoint or self.model.path
        tokenizer = [folder / name for name in TOKENIZER_FILES]
        return file_bytes([*self.model.path.iterdir(), *tokenizer])
