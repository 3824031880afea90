"""Give a bundle its table for the native engine, and keep it only if that engine proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx_ir as ir

from leanbert.bundle import Bundle
from leanbert.engines.binding import native_isa, why_no_library
from leanbert.errors import EngineError, VerificationError
from leanbert.verification import verify
from leanbert_export import writing
from leanbert_export.layout.walk import NoTableError, find_roles, make_table

__all__ = ["seal_with_table"]


def seal_with_table(folder: Path, content: dict[str, Any]) -> str:
    """Put the table into the manifest's ``content`` if it holds; returns the card's line on it.

    Where the native library can run here, the golden texts decide: its answers must be as near to
    PyTorch's as ``leanbert verify`` asks of ONNX Runtime's. The manifest in ``folder`` is written
    for that, and must be written again.
    """
    if content["recipe"]["name"] != "int8":
        return f"no, it computes the recipe int8 only, this is {content['recipe']['name']}"
    graph = ir.load(folder / "model.onnx").graph
    config = Bundle.open(folder).config
    try:
        content["native"] = make_table(find_roles(graph, config), folder / "model.onnx")
    except NoTableError as error:
        return f"no, {error}"
    missing = why_no_library()
    if missing is not None:
        return f"yes, but not tried by the export: {missing}"
    writing.write_manifest(folder, content)
    try:
        found = verify(folder, engine="native")
    except (EngineError, VerificationError) as error:
        del content["native"]
        reason = str(error).removeprefix(f"{folder}: ").split("; ")[0]
        return f"no, {reason}"
    return (
        f"yes; {found.golden_texts} golden texts within {found.max_difference:.3g} of PyTorch, "
        f"{found.mean_difference:.3g} on average ({native_isa()})"
    )
