"""Read a model's tensors by name, and know which were read."""

from __future__ import annotations

from collections.abc import Mapping

from leanbert_export.architectures.description import Floats, Linear, Norm

__all__ = ["NotDescribedError", "Tensors"]


class NotDescribedError(Exception):
    """The family's module does not describe all of a checkpoint; the message is a clause."""


class Tensors:
    """The tensors of a model under a common prefix.

    Args:
        arrays: of the whole model, by name.
        prefix: what every name given to this object is put after.
        read: names that were read already; shared with the object that this one was made from.
    """

    def __init__(
        self, arrays: Mapping[str, Floats], prefix: str = "", read: set[str] | None = None
    ) -> None:
        self._arrays, self._prefix = arrays, prefix
        self._read: set[str] = set() if read is None else read

    def under(self, prefix: str) -> Tensors:
        """The tensors whose names go on with ``prefix`` and a dot; all of them for ``""``."""
        more = f"{prefix}." if prefix else ""
        return Tensors(self._arrays, self._prefix + more, self._read)

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._arrays

    def __getitem__(self, name: str) -> Floats:
        """One tensor.

        Raises:
            NotDescribedError: the model has none of that name.
        """
        full = self._prefix + name
        if full not in self._arrays:
            raise NotDescribedError(f"the model has no tensor {full}")
        self._read.add(full)
        return self._arrays[full]

    def optional(self, name: str) -> Floats | None:
        """One tensor; ``None`` if the model has none of that name."""
        return self[name] if name in self else None  # noqa: SIM401 (this is no dict)

    def linear(self, name: str) -> Linear:
        """A ``torch.nn.Linear``; its weight is turned without being copied."""
        return Linear(self[f"{name}.weight"].T, self.optional(f"{name}.bias"))

    def norm(self, name: str, eps: float) -> Norm:
        """A ``torch.nn.LayerNorm``, with a bias or without."""
        return Norm(self[f"{name}.weight"], self.optional(f"{name}.bias"), float(eps))

    def unread(self) -> list[str]:
        """The names that nobody has read, in order."""
        return sorted(set(self._arrays) - self._read)
