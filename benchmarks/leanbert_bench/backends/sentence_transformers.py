"""sentence-transformers: ``SentenceTransformer.encode`` on each of its three back ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from leanbert_bench.backends.base import TOKENIZER_FILES, checkpoint_bytes, file_bytes
from leanbert_bench.backends.optimum import optimum_preset
from leanbert_bench.backends.tokenizing import TokenizingBackend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation


class SentenceTransformersTorch(TokenizingBackend):
    """``SentenceTransformer(model)`` on PyTorch in fp32."""

    name = "sentence-transformers"
    family = "sentence-transformers"
    requires: ClassVar[tuple[str, ...]] = ("sentence-transformers", "torch", "transformers")
    tasks = frozenset({"feature-extraction"})
    only_if_named = True
    arrangement = "encode(list), which sorts by length, batches of 32 as by default"
    engine: ClassVar[str] = "torch"
    """Its argument ``backend``."""

    _model: Any = None

    @property
    def imports(self) -> tuple[str, ...]:
        return ("torch", "sentence_transformers")

    def load(self) -> None:
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(self.model.threads)
        transformers.logging.set_verbosity_error()
        self._model = SentenceTransformer(
            str(self.model.path),
            device="cpu",
            backend=self.engine,
            local_files_only=True,
            model_kwargs=self.model_kwargs(),
        )
        self.threads_set = {"torch.set_num_threads": self.model.threads, **self.engine_threads()}
        self.use_tokenizer(self._model.tokenizer)
        # What `encode` cuts at may be less than the model's length: all back ends cut alike.
        self._model.max_seq_length = self._longest

    def model_kwargs(self) -> dict[str, Any]:
        """Return what its constructor hands to the engine."""
        return {}

    def engine_threads(self) -> dict[str, int | str]:
        """Return the settings that gave the engine its threads, beside torch's."""
        return {}

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        import torch

        given = {name: torch.from_numpy(ids) for name, ids in inputs.items()}
        with torch.inference_mode():
            found = self._model[0](given)["token_embeddings"]
        return cast("Floats", found.float().numpy())

    def answer(self, items: Sequence[Any]) -> object:
        return self._model.encode(list(items), show_progress_bar=False)

    def many(self, items: Sequence[Any]) -> object:
        return self.answer(items)

    def size(self) -> int:
        return checkpoint_bytes(self.model.path)


class SentenceTransformersOnnx(SentenceTransformersTorch):
    """The ONNX back end with the int8 graph that its documentation recommends for CPUs."""

    name = f"sentence-transformers ONNX int8 ({optimum_preset()})"
    precision = "int8"
    requires = ("sentence-transformers", "optimum-onnx", "onnxruntime", "torch", "transformers")
    makes_with = ("onnx",)
    seconds_to_prepare = 40.0
    engine = "onnx"
    graph: ClassVar[str] = f"onnx/model_qint8_{optimum_preset()}.onnx"

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            from sentence_transformers import SentenceTransformer
            from sentence_transformers.backend import export_dynamic_quantized_onnx_model

            model = SentenceTransformer(
                str(preparation.checkpoint), backend="onnx", model_kwargs={"export": True}
            )
            model.save_pretrained(str(folder))
            export_dynamic_quantized_onnx_model(model, optimum_preset(), str(folder))

        packages = ("sentence-transformers", "optimum-onnx", "onnxruntime", "onnx", "torch")
        return preparation.once("sentence-transformers-onnx", packages, make)

    def model_kwargs(self) -> dict[str, Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.model.threads
        options.inter_op_num_threads = 1
        return {
            "file_name": self.graph,
            "provider": "CPUExecutionProvider",
            "session_options": options,
        }

    def engine_threads(self) -> dict[str, int | str]:
        return {"SessionOptions.intra_op_num_threads": self.model.threads}

    def size(self) -> int:
        return file_bytes(self.model.path / name for name in (self.graph, *TOKENIZER_FILES))


class SentenceTransformersOpenVino(SentenceTransformersTorch):
    """The OpenVINO back end in fp32, held to f32 as our own OpenVINO rows are."""

    name = "sentence-transformers OpenVINO"
    requires = ("sentence-transformers", "optimum-intel", "openvino", "torch", "transformers")
    makes_with = ("onnx", "nncf")
    seconds_to_prepare = 40.0
    engine = "openvino"

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(
                str(preparation.checkpoint), backend="openvino", model_kwargs={"export": True}
            )
            model.save_pretrained(str(folder))

        packages = ("sentence-transformers", "optimum-intel", "openvino", "torch")
        return preparation.once("sentence-transformers-openvino", packages, make)

    def model_kwargs(self) -> dict[str, Any]:
        return {
            "ov_config": {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": str(self.model.threads),
            }
        }

    def engine_threads(self) -> dict[str, int | str]:
        return {
            "INFERENCE_NUM_THREADS": self.model.threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }

    def size(self) -> int:
        folder = self.model.path / "openvino"
        graphs = [folder / "openvino_model.xml", folder / "openvino_model.bin"]
        return file_bytes([*graphs, *(self.model.path / name for name in TOKENIZER_FILES)])
