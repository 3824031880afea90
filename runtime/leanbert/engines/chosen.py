"""An engine of which one output takes the name that a task decodes.

The caller chooses it, or it is the only output whose axes and width are those that the task needs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leanbert.bundle import Bundle
from leanbert.engines import Batch, Engine, ModelOutputs
from leanbert.errors import EngineError, InputError

__all__ = ["ChosenOutput", "choose_output", "described", "fitting_output", "output_shapes"]

_PER_TOKEN = 3  # axes in the graph, of which the engine gives the tokens of all texts as one
_TOKENS = (5, 7)  # of the two texts whose outputs show what is as wide as a text is long
_HIDDEN = ("hidden_size", "dim", "d_model", "n_embd")  # what families call the width of a token


def output_shapes(engine: Engine) -> dict[str, tuple[int | str, ...]]:
    """The shape of each output for one text, ``"tokens"`` for what follows its length.

    Empty where the graph cannot be computed.
    """
    shapes: list[dict[str, tuple[int, ...]]] = []
    for length in _TOKENS:
        ids = np.arange(length, dtype=np.int32) % 2
        batch = Batch(ids, np.zeros_like(ids), np.array([length], np.int32))
        try:
            shapes.append({name: value.shape for name, value in engine.run(batch).items()})
        except EngineError:
            return {}
    one, other = shapes
    return {
        name: tuple(
            size if size == again else "tokens"
            for size, again in zip(one[name], other[name], strict=False)
        )
        for name in one
    }


def fitting_output(engine: Engine, required: Mapping[str, int], bundle: Bundle) -> str | None:
    """The one output that can be what a task decodes, whatever the exporter called it.

    Args:
        engine: what computes a plain export.
        required: the name that the task decodes, with the number of its axes.
        bundle: what the engine runs: logits are as wide as it has labels (of masked words, as it
            has tokens), hidden states as wide as its tokens are.

    Returns:
        ``None`` where an output has the name already, where none or several fit, where the task
        decodes several, and where logits could as well be hidden states.
    """
    if len(required) != 1 or set(required) & set(engine.output_names):
        return None
    [(wanted, rank)] = required.items()
    raw = bundle.config.raw
    hidden = next((raw[key] for key in _HIDDEN if key in raw), None)
    if wanted == "last_hidden_state":
        width = hidden
    elif bundle.config.head_task == "fill-mask":
        width = raw.get("vocab_size")
    else:
        width = bundle.config.num_labels
    if wanted == "logits" and width == hidden:
        return None
    fitting = [
        name
        for name, shape in output_shapes(engine).items()
        if shape == (("tokens" if rank == _PER_TOKEN else 1), width)
    ]
    return fitting[0] if len(fitting) == 1 else None


def choose_output(
    engine: Engine, chosen: str | int | None, required: Mapping[str, int], bundle: Bundle
) -> Engine:
    """The engine, under the name that a task decodes where the output has another.

    Args:
        engine: what computes.
        chosen: the output's name in the graph, or its number, counted from 0; ``None`` for the one
            that fits, where ``bundle`` is a plain export.
        required: the names that the task decodes, with the number of their axes.
        bundle: what the engine runs.

    Raises:
        InputError: the chosen output cannot be decoded; see :class:`ChosenOutput`.
    """
    if chosen is None and bundle.manifest is None:
        chosen = fitting_output(engine, required, bundle)
    return engine if chosen is None else ChosenOutput(engine, chosen, required, bundle)


def described(engine: Engine, *, with_shapes: bool) -> list[str]:
    """The outputs by name, with what they belong to and their shapes for one text."""
    shapes = output_shapes(engine) if with_shapes else {}
    words = []
    for name, rank in engine.output_ranks.items():
        shape = " x ".join(map(str, shapes.get(name, ())))
        of = {2: " of each text", 3: " of each token"}.get(rank or 0, "")
        words.append(f"{name}{of}{f' ({shape})' if shape else ''}")
    return words


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
