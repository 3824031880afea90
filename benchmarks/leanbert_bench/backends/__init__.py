"""The back ends that are measured: one small class per back end, one module per family.

A module imports its libraries in its methods only: the parent process asks every class what it is,
and a worker loads no library but its own. A new back end is a class that :data:`REGISTRY` names.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module

from leanbert_bench.backends.base import Backend, Model, missing_packages

__all__ = [
    "REFERENCE",
    "REGISTRY",
    "Backend",
    "Model",
    "Started",
    "backend_class",
    "missing_packages",
    "start",
]

REFERENCE = "pytorch-eager-fp32"
"""The back end whose answers all others are compared with."""

_HOME = "leanbert_bench.backends"

REGISTRY: dict[str, str] = {
    REFERENCE: f"{_HOME}.pytorch:EagerFp32",
    "pytorch-dynamic-int8": f"{_HOME}.pytorch:DynamicInt8",
    "torchao-int8-compiled": f"{_HOME}.torchao:CompiledInt8",
    "transformers-pipeline": f"{_HOME}.transformers:TransformersPipeline",
    "transformers-pipeline-batch-32": f"{_HOME}.transformers:TransformersPipelineBatch32",
    "optimum-fp32": f"{_HOME}.optimum:OptimumFp32",
    "optimum-int8": f"{_HOME}.optimum:OptimumInt8",
    "optimum-int8-batch-32": f"{_HOME}.optimum:OptimumInt8Batch32",
    "openvino-fp32": f"{_HOME}.openvino:OpenVinoFp32",
    "openvino-int8": f"{_HOME}.openvino:OpenVinoInt8",
    "onnxruntime-fused-fp32": f"{_HOME}.onnxruntime:OnnxRuntimeFused",
    "zentorch-fp32": f"{_HOME}.zentorch:ZenTorch",
    "sentence-transformers": f"{_HOME}.sentence_transformers:SentenceTransformersTorch",
    "sentence-transformers-onnx-int8": f"{_HOME}.sentence_transformers:SentenceTransformersOnnx",
    "sentence-transformers-openvino": f"{_HOME}.sentence_transformers:SentenceTransformersOpenVino",
    "fastembed": f"{_HOME}.fastembed:FastEmbed",
    "kjarni": f"{_HOME}.kjarni:Kjarni",
    "llama-cpp-f16": f"{_HOME}.llama_cpp:LlamaCppF16",
    "llama-cpp-q8": f"{_HOME}.llama_cpp:LlamaCppQ8",
    "transformers-js-q8": f"{_HOME}.transformers_js:TransformersJsQ8",
    "ctranslate2-int8": f"{_HOME}.ctranslate2:CTranslate2Int8",
    "leanbert-fp32": f"{_HOME}.leanbert:LeanBertFp32",
    "leanbert-int8-onnxruntime": f"{_HOME}.leanbert:LeanBertInt8OnnxRuntime",
    "leanbert-int8-onnxruntime-shared": f"{_HOME}.leanbert:LeanBertInt8Shared",
    "leanbert-int8-native": f"{_HOME}.leanbert:LeanBertInt8Native",
}
"""``module:Class`` of each back end by its id, in the order of tables."""

BUNDLE_ON = {
    "auto": f"{_HOME}.leanbert:GivenBundle",
    "onnxruntime": f"{_HOME}.leanbert:GivenBundleOnnxRuntime",
    "native": f"{_HOME}.leanbert:GivenBundleNative",
}
"""What measures a bundle that the user names, by the engine."""


def backend_class(factory: str) -> type[Backend]:
    """Return the class that ``module:Class`` names; its module imports nothing heavy."""
    module, _, name = factory.partition(":")
    kind: type[Backend] = getattr(import_module(module), name)
    return kind


@dataclass(frozen=True)
class Started:
    """A back end that has answered once."""

    backend: Backend
    load_s: float
    """Seconds of :meth:`~Backend.load`, after the imports."""
    first_forward_s: float
    """Seconds of the first answer."""


def start(factory: str, model: Model, item: object) -> Started:
    """Import the libraries of a back end, load it, and let it answer one item."""
    backend = backend_class(factory)(model)
    for name in backend.imports:
        import_module(name)
    begin = time.perf_counter()
    backend.load()
    loaded = time.perf_counter()
    backend.answer([item])
    return Started(backend, loaded - begin, time.perf_counter() - loaded)
