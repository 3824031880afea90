"""An engine of which one output, which the caller chose, takes the name that a task decodes."""

from __future__ import annotations

from collections.abc import Mapping

from leanbert.bundle import Bundle
from leanbert.engines import Batch, Engine, ModelOutputs
from leanbert.errors import InputError

__all__ = ["ChosenOutput"]


class ChosenOutput:
    """An engine for a graph whose exporter gave the output another name.

    Args:
        engine: what computes.
        chosen: the output's name in the graph, or its number, counted from 0.
        required: the name that the task decodes, with the number of its axes.
        bundle: what the engine runs; the width of logits must be the number of its labels.

    Raises:
        InputError: there is no such output, the task decodes several, the output has other axes,
            or the bundle's export chose its outputs.
    """

    def __init__(
        self, engine: Engine, chosen: str | int, required: Mapping[str, int], bundle: Bundle
    ) -> None:
        names = engine.output_names
        if bundle.manifest is not None:
            raise InputError(
                f"output_name is {chosen!r}; the outputs of a bundle are those of its task: leave "
                "it out"
            )
        if len(required) != 1:
            raise InputError(
                f"output_name is {chosen!r}; the task needs the outputs {' and '.join(required)}"
            )
        index = _index(chosen, names)
        if index is None:
            numbered = ", ".join(f"{i} {name}" for i, name in enumerate(names))
            raise InputError(f"output_name is {chosen!r}; the graph's outputs are {numbered}")
        [(self._wanted, rank)] = required.items()
        found = engine.output_ranks.get(names[index])
        if found not in (rank, None):
            raise InputError(
                f"output_name is {chosen!r}; the task needs an output of {rank} axes, "
                f"{names[index]} has {found}"
            )
        self._engine, self._chosen, self._bundle = engine, names[index], bundle
        self.name, self.report = engine.name, engine.report
        self.ceiling = engine.ceiling
        self.output_names = tuple(self._renamed(name) for name in names)
        """See :class:`leanbert.engines.Engine`."""
        self.output_ranks: Mapping[str, int | None] = {
            self._renamed(name): axes for name, axes in engine.output_ranks.items()
        }
        """See :class:`leanbert.engines.Engine`."""

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch; see :class:`leanbert.engines.Engine`.

        Raises:
            BundleCorruptError: the logits are not as many as the labels.
        """
        outputs = self._engine.run(batch)
        if self._wanted == "logits":
            self._bundle.check_num_labels(outputs[self._chosen].shape[-1])
        return {self._renamed(name): value for name, value in outputs.items()}

    def close(self) -> None:
        """See :class:`leanbert.engines.Engine`."""
        self._engine.close()

    def _renamed(self, name: str) -> str:
        if name == self._chosen:
            return self._wanted
        return f"other {name}" if name == self._wanted else name


def _index(chosen: str | int, names: tuple[str, ...]) -> int | None:
    """Which output is meant; digits are a number where no output is called so."""
    if isinstance(chosen, str) and chosen in names:
        return names.index(chosen)
    number = int(chosen) if str(chosen).isdecimal() and len(str(chosen)) < 10 else len(names)
    return number if number < len(names) else None
