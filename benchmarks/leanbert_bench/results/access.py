"""What a ``results.json`` says of who was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from leanbert.errors import InputError

Json = dict[str, Any]
Results: TypeAlias = Mapping[str, Any]
"""The whole of a ``results.json``."""
Entry: TypeAlias = Mapping[str, Any]
"""One back end in it."""

_WITHOUT_RESULT = ("skipped", "failed", "timed_out")


def dig(value: Any, *keys: str) -> Any:
    """Return ``value[a][b]…``, or ``None`` as soon as a step is absent or null."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def measured(results: Results) -> list[Json]:
    """Return the back ends that gave a result, in the run's order.

    A back end that failed half-way is not among them, whatever it gave before:
    :func:`troubles` names it.
    """
    return [item for item in results["backends"] if item["status"] not in _WITHOUT_RESULT]


def first_value(results: Results, *keys: str) -> Any:
    """Return :func:`dig` of the first back end that has a value, for what all have alike."""
    return next((v for item in measured(results) if (v := dig(item, *keys)) is not None), None)


def troubles(results: Results) -> list[str]:
    """Say who gave no result, why, and what to do: one line for all that share the cause."""
    found: dict[str, list[str]] = {}
    for backend in results["backends"]:
        if backend["status"] not in _WITHOUT_RESULT:
            continue
        cause = str(backend["status"]).replace("_", " ")
        if backend.get("reason"):
            cause += f": {backend['reason']}"
        # The reason often names the command already.
        if backend.get("install") and backend["install"] not in cause:
            cause += f"; {backend['install']}"
        found.setdefault(cause, []).append(name_of(backend))
    return [f"{'; '.join(names)}: {cause}" for cause, names in found.items()]


def backend_of(results: Results, identifier: str) -> Json | None:
    """Return the back end of that id, whether it gave a result or not."""
    found: list[Json] = [item for item in results["backends"] if item["id"] == identifier]
    return found[0] if found else None


def reference_of(results: Results) -> Json | None:
    """Return the back end that ratios refer to, or ``None`` if it gave no result."""
    found = backend_of(results, str(results["settings"].get("reference")))
    return found if found is not None and found in measured(results) else None


def name_of(backend: Entry) -> str:
    """Return a back end's name for people, on one line."""
    return " ".join(str(backend["name"]).split())


def shapes_of(results: Results) -> list[str]:
    """Return the shapes that any back end was measured at, by batch size, then by length."""
    found = {shape for item in measured(results) for shape in dig(item, "grid") or {}}
    return sorted(found, key=parse_shape)


def parse_shape(shape: str) -> tuple[int, int]:
    """Split a shape such as ``8x128`` into its batch size and sequence length.

    Raises:
        InputError: it is not such a shape.
    """
    batch, _, length = shape.partition("x")
    if not (batch.isdecimal() and length.isdecimal()):
        raise InputError(f"{shape!r} is no shape of the form BATCHxLENGTH; the results are damaged")
    return int(batch), int(length)
