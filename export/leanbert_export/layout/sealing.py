"""Write the layout for the native engine into a bundle, if that engine answers rightly with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanbert.engines.native.binding import native_isa, why_no_library
from leanbert.errors import EngineError, VerificationError
from leanbert.verification import verify
from leanbert_export import writing
from leanbert_export.architectures.description import Encoder
from leanbert_export.layout.architecture import NoLayoutError
from leanbert_export.layout.places import make_layout

__all__ = ["seal_with_layout"]


def seal_with_layout(
    folder: Path, content: dict[str, Any], encoder: Encoder | None, roles: Mapping[str, str]
) -> str:
    """Put the layout into the manifest's ``content``, if the native engine can use it.

    Where the native library can run, the golden texts decide: its answers must be as near to
    PyTorch's as ``leanbert verify`` demands of ONNX Runtime. The manifest in ``folder`` is written
    for this, and the caller must write it again.

    Args:
        folder: of the bundle.
        content: of the manifest; it gets the key ``native`` or stays as it is.
        encoder: the description that the graph was built from; ``None`` for a traced graph.
        roles: the name of the initializer of each tensor.

    Returns:
        The card's line on the native engine.
    """
    if content["recipe"]["name"] != "int8":
        return (
            f"no, it computes the recipe int8 only, and this bundle has {content['recipe']['name']}"
        )
    if encoder is None:
        return "no, the architecture is traced and not described"
    try:
        content["native"] = make_layout(encoder, roles, folder / "model.onnx")
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
