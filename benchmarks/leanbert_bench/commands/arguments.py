"""Values of command lines that several commands take."""

from __future__ import annotations

import argparse


def shape_list(text: str) -> tuple[tuple[int, int], ...]:
    """Parse shapes such as ``1x8,8x128``: batch sizes and tokens.

    Raises:
        argparse.ArgumentTypeError: it is not of this form.
    """
    try:
        found = [part.split("x") for part in text.split(",")]
        shapes = tuple((int(rows), int(length)) for rows, length in found)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1x8,8x128") from None
    if min(min(shape) for shape in shapes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: rows and tokens must be at least 1")
    return shapes


def scenario_names(text: str) -> tuple[str, ...]:
    """Parse names of MLPerf's scenarios, separated by commas.

    Raises:
        argparse.ArgumentTypeError: there is no such scenario.
    """
    from leanbert_bench.run.scenarios import SCENARIOS

    return _names(text, SCENARIOS)


def measure_names(text: str) -> tuple[str, ...]:
    """Parse names of what a run consists of, separated by commas.

    Raises:
        argparse.ArgumentTypeError: there is no such part.
    """
    from leanbert_bench.run.plan import MEASURES

    return _names(text, tuple(MEASURES))


def engine_names(text: str) -> tuple[str, ...]:
    """Parse names of LeanBERT's engines, separated by commas.

    Raises:
        argparse.ArgumentTypeError: there is no such engine.
    """
    return _names(text, ("native", "onnxruntime"))


def name_list(text: str) -> tuple[str, ...]:
    """Parse any names, separated by commas."""
    return tuple(name.strip() for name in text.split(","))


def _names(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = name_list(text)
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


def positive(text: str) -> int:
    """Parse a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
