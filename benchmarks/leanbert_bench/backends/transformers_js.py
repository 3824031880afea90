"""transformers.js in Node: ``pipeline(task, model, { dtype: "q8" })`` in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from leanbert_bench.backends.base import TEXT_TASKS, TOKENIZER_FILES, file_bytes
from leanbert_bench.backends.optimum import exported
from leanbert_bench.backends.text_only import TextOnlyBackend
from leanbert_bench.run.preparing import default_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends.base import Floats
    from leanbert_bench.run.preparing import Preparation

_PACKAGE = "@huggingface/transformers"
_GRAPH = "onnx/model_quantized.onnx"
_SCRIPT = Path(__file__).with_name("transformers_js.mjs")


def node_folder() -> Path:
    """Return where the package is looked for: ``node`` in the benchmark's cache."""
    return default_cache() / "node"


class TransformersJsQ8(TextOnlyBackend):
    """Its q8 graph on onnxruntime-node; texts and answers pass through a pipe as JSON."""

    name = "transformers.js q8 (Node)"
    family = "transformers-js"
    precision = "int8"
    makes_with: ClassVar[tuple[str, ...]] = ("optimum-onnx", "onnx", "onnxruntime", "torch")
    tasks = TEXT_TASKS
    only_if_named = True
    arrangement = "pipeline(list), 32 texts in a call"
    seconds_to_prepare = 30.0

    _process: subprocess.Popen[str] | None = None

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:  # noqa: ARG003 - it is about this machine
        if shutil.which("node") is None:
            return "needs node on PATH"
        if not (node_folder() / "node_modules" / _PACKAGE).is_dir():
            return f"needs its package: npm install --prefix {node_folder()} {_PACKAGE}"
        return None

    @classmethod
    def installed_folders(cls) -> tuple[Path, ...]:
        return (node_folder().resolve(),)

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Quantize Optimum's export as the project's script does: dynamic, per channel, 7 bits."""

        def make(folder: Path) -> None:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            source = exported(preparation)
            (folder / "onnx").mkdir()
            quantize_dynamic(
                source / "model.onnx",
                folder / _GRAPH,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                extra_options={"EnableSubgraph": True},
            )
            for path in source.glob("*.json"):
                shutil.copy(path, folder)

        packages = ("optimum-onnx", "onnx", "onnxruntime", "torch")
        return preparation.once("transformers-js-q8", packages, make)

    def load(self) -> None:
        command = ["node", str(_SCRIPT), str(node_folder()), str(self.model.path), self.model.task]
        self._process = subprocess.Popen(
            [*command, str(self.model.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._labels = list(self.config.id2label.values())
        self._ask({})  # it is ready, or says why not
        self.threads_set = {"session_options.intraOpNumThreads": self.model.threads}

    def _ask(self, message: dict[str, Any]) -> Any:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("asked before load")
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"node ended with {process.wait()}")
        found = json.loads(line)
        if "error" in found:
            raise RuntimeError(str(found["error"]).splitlines()[0])
        return found

    def compute(self, texts: Sequence[str]) -> Floats:
        import numpy as np

        rows = self._ask({"texts": list(texts)})["rows"]
        if self.model.task == "text-classification":
            place = {label: i for i, label in enumerate(self._labels)}
            found = np.zeros((len(rows), len(place)), np.float32)
            for i, answers in enumerate(rows):
                for answer in answers:
                    found[i, place[answer["label"]]] = answer["score"]
            return found
        return np.asarray(rows, np.float32)

    def many(self, items: Sequence[Any]) -> object:
        return [self.compute(items[i : i + 32]) for i in range(0, len(items), 32)]

    def size(self) -> int:
        return file_bytes(self.model.path / name for name in (_GRAPH, *TOKENIZER_FILES))
