"""PyTorch itself: eager fp32, which is the reference, and its own dynamic int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import checkpoint_bytes, transformers_modules
from leanbert_bench.backends.tokenizing import TokenizingBackend

if TYPE_CHECKING:
    from leanbert_bench.backends.base import Floats, Ids


class EagerFp32(TokenizingBackend):
    """``AutoModelFor…`` in fp32 without a compiler: the reference."""

    name = "PyTorch eager fp32"
    family = "pytorch"
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    _model: Any = None
    _typed = True

    @property
    def imports(self) -> tuple[str, ...]:
        return ("torch", *transformers_modules(self.config))

    def load(self) -> None:
        self.set_threads()
        self._model = self.made()
        self.load_tokenizer()

    def set_threads(self) -> None:
        """Set the threads that torch may use."""
        import torch

        torch.set_num_threads(self.model.threads)
        torch.set_num_interop_threads(1)
        self.threads_set = {
            "torch.set_num_threads": self.model.threads,
            "torch.set_num_interop_threads": 1,
        }

    def made(self) -> Any:
        """Load the module that is called."""
        import transformers

        transformers.logging.set_verbosity_error()
        kind = (
            transformers.AutoModelForSequenceClassification
            if self.model.task == "text-classification"
            else transformers.AutoModel
        )
        # A checkpoint saved in half precision is compared in fp32.
        made = kind.from_pretrained(str(self.model.path)).float().eval()
        self._typed = getattr(made.config, "type_vocab_size", 0) > 1
        return made

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        import torch

        given = {
            name: torch.from_numpy(ids)
            for name, ids in inputs.items()
            if self._typed or name != "token_type_ids"
        }
        with torch.inference_mode():
            found = self._model(**given)
        output = found.logits if hasattr(found, "logits") else found.last_hidden_state
        return cast("Floats", output.float().numpy())

    def size(self) -> int:
        return checkpoint_bytes(self.model.path)


class DynamicInt8(EagerFp32):
    """``torch.ao.quantization.quantize_dynamic`` of all linear layers."""

    name = "PyTorch dynamic int8"
    precision = "int8"

    def made(self) -> Any:
        import warnings

        import torch

        module = super().made()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, and what most users run all the same
            quantize: Any = torch.ao.quantization.quantize_dynamic
            return quantize(module, {torch.nn.Linear}, dtype=torch.qint8)

    def size(self) -> int:
        """Return the bytes of the quantized weights as torch saves them."""
        import tempfile

        import torch

        with tempfile.TemporaryFile() as file:
            torch.save(self._model.state_dict(), file)
            return file.tell()
