"""Write the layout for the native engine into a bundle, if that engine answers rightly with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx_ir as ir

from leanbert.bundle import Bundle
from leanbert.engines.native.binding import native_isa, why_no_library
from leanbert.errors import EngineError, VerificationError
from leanbert.verification import verify
from leanbert_export import writing
from leanbert_export.layout.walk import NoLayoutError, find_roles, make_layout

__all__ = ["seal_with_layout"]


def seal_with_layout(folder: Path, content: dict[str, Any]) -> str:
    """Put the layout into the manifest's ``content``, if the native engine can use it.

    Where the native library can run, the golden texts decide: its answers must be as near to
    PyTorch's as ``leanbert verify`` demands of ONNX Runtime. The manifest in ``folder`` is written
    for this, and the caller must write it again.

    Args:
        folder: of the bundle.
        content: of the manifest; it gets the key ``native`` or stays as it is.

    Returns:
        The card's line on the native engine.
    """
    if content["recipe"]["name"] != "int8":
        return (
            f"no, it computes the recipe int8 only, and this bundle has {content['recipe']['name']}"
        )
    graph = ir.load(folder / "model.onnx").graph
    config = Bundle.open(folder).config
    try:
        content["native"] = make_layout(find_roles(graph, config), folder / "model.onnx")
    except NoLayoutError as error:
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
