"""Who is measured: one small class a back end, one module a family.

A module imports its libraries in its methods only: the parent asks every class who it is, and a
worker pays for no library but its own. A new back end is a class that :data:`REGISTRY` names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from leanbert_bench.backends.base import Backend, Model, missing_packages

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "REFERENCE",
    "REGISTRY",
    "Backend",
    "Model",
    "backend_class",
    "missing_packages",
    "start",
]

REFERENCE = "pytorch-eager-fp32"
"""Whose answers all others are compared with."""

_HOME = "leanbert_bench.backends"

REGISTRY: dict[str, str] = {
    REFERENCE: f"{_HOME}.pytorch:EagerFp32",
    "pytorch-dynamic-int8": f"{_HOME}.pytorch:DynamicInt8",
    "torchao-int8-compiled": f"{_HOME}.torchao:CompiledInt8",
    "transformers-pipeline": f"{_HOME}.transformers:TransformersPipeline",
    "optimum-fp32": f"{_HOME}.optimum:OptimumFp32",
    "optimum-int8": f"{_HOME}.optimum:OptimumInt8",
    "openvino-fp32": f"{_HOME}.openvino:OpenVinoFp32",
    "openvino-int8": f"{_HOME}.openvino:OpenVinoInt8",
    "ctranslate2-int8": f"{_HOME}.ctranslate2:CTranslate2Int8",
    "leanbert-fp32": f"{_HOME}.leanbert:LeanBertFp32",
    "leanbert-int8-onnxruntime": f"{_HOME}.leanbert:LeanBertInt8OnnxRuntime",
    "leanbert-int8-native": f"{_HOME}.leanbert:LeanBertInt8Native",
}
"""``module:Class`` of each back end by its id, in the order of tables."""

BUNDLE = f"{_HOME}.leanbert:GivenBundle"
"""What measures a bundle that the user names."""


def backend_class(factory: str) -> type[Backend]:
    """The class that ``module:Class`` names; its module imports nothing heavy."""
    module, _, name = factory.partition(":")
    kind: type[Backend] = getattr(import_module(module), name)
    return kind


def start(factory: str, model: Path, checkpoint: Path | None, task: str, threads: int) -> Backend:
    """A back end that is loaded, for a process of its own such as the cold start's."""
    backend = backend_class(factory)(Model(model, checkpoint, task, threads))
    backend.load()
    return backend
