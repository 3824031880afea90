"""Why a model cannot do a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from leanbert.bundle import Bundle
from leanbert.engines import Engine
from leanbert.engines.chosen import described
from leanbert.errors import TaskError

__all__ = ["refuse_model"]

_CHOOSE = ", or name the graph's own output with output_name=NAME"


def refuse_model(
    engine: Engine,
    bundle: Bundle,
    task: str,
    wanted: str,
    required: Mapping[str, int],
    *,
    fits: bool,
) -> NoReturn:
    """Refuse a model that has another head than a task decodes.

    Args:
        engine: what computes the model.
        bundle: the model.
        task: that was asked for.
        wanted: the task whose exports it decodes.
        required: the names that the task decodes, with the number of their axes.
        fits: whether the model has outputs of these names and axes.

    Raises:
        TaskError: always.
    """
    head = bundle.config.head_task
    plain = bundle.manifest is None
    said = [f"it was exported for {bundle.task}"] if bundle.task else []
    said += [f"the checkpoint's head is for {head}"] if head else []
    each = "each token" if 3 in required.values() else "each text"
    raise TaskError(
        f"{bundle.path}: {task} needs the output {', '.join(required)} of {each}, the model gives "
        f"{', '.join(described(engine, with_shapes=plain))}"
        f"{' (' + '; '.join(said) + ')' if said else ''}; "
        f"export a checkpoint with a head for {wanted}{_CHOOSE if plain and not fits else ''}"
    )
